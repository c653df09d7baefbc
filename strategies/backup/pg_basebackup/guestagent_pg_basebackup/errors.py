"""What can be wrong with a backup that should be restored."""

from guestagent.contract.errors import GuestAgentError


class BaseInvalid(GuestAgentError):
    """The stream of a backup is not whole, or none of this strategy."""

    id = "backup.base"
    sentence = "The base backup cannot be restored: {problem}; restore another one."
