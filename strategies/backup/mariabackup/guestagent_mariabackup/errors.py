"""What can be wrong with backups that should be restored, or built on."""

from guestagent.contract.errors import GuestAgentError


class ChainBroken(GuestAgentError):
    """The backups do not build on each other as they should; nothing was restored."""

    id = "backup.chain"
    sentence = "The chain of backups is broken: {problem}."


class StreamInvalid(GuestAgentError):
    """The stream of a backup is not whole, or none of this strategy."""

    id = "backup.xbstream"
    sentence = "Backup {number} of the chain cannot be restored: {problem}."
