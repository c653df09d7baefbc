"""What can be wrong with a backup that should be restored."""

from guestagent.contract.errors import GuestAgentError


class StreamInvalid(GuestAgentError):
    """The stream of a backup is not whole, or none of this strategy."""

    id = "backup.xbstream"
    sentence = "Backup {number} of the chain cannot be restored: {problem}; restore one before it."
