"""What can be wrong with backups that should be restored."""

from guestagent.contract.errors import GuestAgentError


class StreamInvalid(GuestAgentError):
    """The stream of a backup is not whole, or none of this strategy."""

    id = "backup.archive"
    sentence = "The backup cannot be restored: {problem}; restore another one."
