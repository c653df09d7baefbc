"""What keeps write-ahead log from being archived or replayed."""

from guestagent.contract.errors import GuestAgentError


class SegmentSizeUnknown(GuestAgentError):
    """The log is cut into files of another size than this strategy counts with."""

    id = "postgresql-wal.segment-size"
    sentence = (
        "The write-ahead log is in files of {size}, and this strategy knows those of 16MB; make new data of them."
    )


class ReplayFailed(GuestAgentError):
    """The log could not be replayed up to the point; the data are thrown away."""

    id = "postgresql-wal.replay"
    sentence = "The write-ahead log could not be replayed: {problem}; restore to an earlier point."
