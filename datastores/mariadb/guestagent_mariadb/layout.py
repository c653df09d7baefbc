"""Where everything of one server lies."""

from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """The places of one server's files.

    The data are one level below the mount point, so that what a file system keeps at its root
    (``lost+found``) is never taken for a database.

    :ivar mount_point: the data volume.
    :ivar config_dir: the configuration files that the agent writes.
    :ivar log_dir: the server's logs.
    :ivar socket: the server's socket.
    """

    mount_point: Path
    config_dir: Path
    log_dir: Path
    socket: Path

    @property
    def data_dir(self) -> Path:
        """The server's data directory; when it exists it is complete."""
        return self.mount_point / "data"

    @property
    def scratch_dir(self) -> Path:
        """What a backup or a restore needs meanwhile."""
        return self.mount_point / ".backup-scratch"

    @property
    def draft_dir(self) -> Path:
        """What it takes to go on with a backup when its maker has died."""
        return self.mount_point / ".backup-draft"

    @property
    def archiver_scratch_dir(self) -> Path:
        """What archiving needs meanwhile."""
        return self.mount_point / ".archive-scratch"

    @property
    def tmp_dir(self) -> Path:
        """What large statements need for a while: on the volume, whose size the user chose."""
        return self.mount_point / "tmp"

    @property
    def exports_dir(self) -> Path:
        """The one directory from which and to which statements may read and write files."""
        return self.mount_point / "files"

    @property
    def tls_dir(self) -> Path:
        """The certificate files."""
        return self.mount_point / "tls"

    @property
    def logins_before_mtls(self) -> Path:
        """What users had to show at their login before all of them had to show a certificate."""
        return self.mount_point / "logins-before-mtls.json"

    @property
    def main_file(self) -> Path:
        """The one file that the server is started with; it includes the layers."""
        return self.config_dir / "server.cnf"

    @property
    def trial_file(self) -> Path:
        """A configuration that the server's program is asked about; exists only meanwhile."""
        return self.config_dir / "trial.cnf"

    @property
    def claim_file(self) -> Path:
        """The statements that give the agent its account; exists only until the server has read it."""
        return self.config_dir / "claim.sql"

    @property
    def lent_credentials(self) -> Path:
        """The agent's credentials for a program that runs as the server's account; exists only while it runs."""
        return self.config_dir / "lent.cnf"

    @property
    def archiver_credentials(self) -> Path:
        """The same for what archives logs, which may run beside a backup."""
        return self.config_dir / "archiver.cnf"

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process id; the agent does not rely on it."""
        return self.socket.with_suffix(".pid")

    @property
    def error_log(self) -> Path:
        """What the server says about itself."""
        return self.log_dir / "error.log"

    @property
    def general_log(self) -> Path:
        """Every statement, while the log is enabled."""
        return self.log_dir / "general.log"

    @property
    def slow_query_log(self) -> Path:
        """Slow statements, while the log is enabled."""
        return self.log_dir / "slow_query.log"
