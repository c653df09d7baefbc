"""What keeps binary logs from being archived or replayed."""

from guestagent.contract.errors import GuestAgentError


class NoBinaryLog(GuestAgentError):
    """The server writes no binary log, or one that is not the agent's."""

    id = "mariadb-binlog.off"
    sentence = (
        "The MariaDB server writes no binary log of the guest agent's, so there is nothing to archive; set [mariadb] "
        "binary_log, restart the agent and the server, and make a new backup."
    )


class BinaryLogEncrypted(GuestAgentError):
    """The server encrypts its binary logs with a key that is on its machine only."""

    id = "mariadb-binlog.encrypted"
    sentence = (
        "The binary log is encrypted by the server, and could be replayed nowhere else; turn encrypt_binlog off. "
        "What is archived is encrypted with the key of [backup]."
    )


class BinaryLogFiltered(GuestAgentError):
    """The server leaves databases out of its binary log."""

    id = "mariadb-binlog.filtered"
    sentence = (
        "The server has binlog_do_db or binlog_ignore_db ({databases}), so that changes are missing in its binary log; "
        "remove the setting, restart the server, and make a new backup."
    )


class BinaryLogInvalid(GuestAgentError):
    """A file is no binary log, or not one that this strategy understands."""

    id = "mariadb-binlog.invalid"
    sentence = "The binary log {log} cannot be understood: {problem}; restore to a point before it."


class ReplayFailed(GuestAgentError):
    """The changes of a log could not be made once more; the data are thrown away."""

    id = "mariadb-binlog.replay"
    sentence = "The binary log {log} could not be replayed: {problem}; restore to a point before it."
