"""What can be wrong with a backup that should be restored."""

from guestagent.contract.errors import GuestAgentError


class StreamInvalid(GuestAgentError):
    """The stream of the backup is not whole, or none of this strategy."""

    id = "backup.dump"
    sentence = "The backup cannot be restored: {problem}; restore another one."
