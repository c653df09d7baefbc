"""Where everything of one server lies."""

from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """The places of one server's files.

    The data are one level below the mount point, so that what a file system keeps at its root
    (``lost+found``) is never in the server's way.

    :ivar mount_point: the data volume.
    :ivar config_dir: the configuration files that the agent writes.
    :ivar log_dir: the server's log.
    :ivar socket_dir: where the server's socket is.
    :ivar port: names the socket.
    """

    mount_point: Path
    config_dir: Path
    log_dir: Path
    socket_dir: Path
    port: int

    @property
    def data_dir(self) -> Path:
        """The server's data directory; when it exists it is complete."""
        return self.mount_point / "data"

    @property
    def upgraded_data_dir(self) -> Path:
        """What a newer server is to work on; exists only while an upgrade makes it."""
        return self.mount_point / ".data-upgraded"

    @property
    def former_data_dir(self) -> Path:
        """What the older server worked on; exists until the newer one runs."""
        return self.mount_point / ".data-before-upgrade"

    @property
    def scratch_dir(self) -> Path:
        """What a backup or a restore needs meanwhile."""
        return self.mount_point / ".backup-scratch"

    @property
    def archiver_scratch_dir(self) -> Path:
        """The same for what archives the write-ahead log, beside it."""
        return self.mount_point / ".archiver-scratch"

    @property
    def lasting_backup_dir(self) -> Path:
        """What a backup leaves for later ones that build on it; none has made it yet, or it is bounded by who has."""
        return self.mount_point / ".backup-lasting"

    @property
    def tls_dir(self) -> Path:
        """The certificate files."""
        return self.mount_point / "tls"

    @property
    def main_file(self) -> Path:
        """The one file that the server is started with; it includes the layers."""
        return self.config_dir / "postgresql.conf"

    @property
    def trial_file(self) -> Path:
        """A configuration that the server's program is asked about; exists only meanwhile."""
        return self.config_dir / "trial.conf"

    @property
    def host_access_file(self) -> Path:
        """Who may log in, from where and how."""
        return self.config_dir / "pg_hba.conf"

    @property
    def account_map_file(self) -> Path:
        """Which accounts of the guest are which roles of the server."""
        return self.config_dir / "pg_ident.conf"

    @property
    def lent_service_file(self) -> Path:
        """How a program of the server's account finds the server; exists only while it runs."""
        return self.config_dir / "lent-service.conf"

    @property
    def archiver_service_file(self) -> Path:
        """The same for what archives the write-ahead log."""
        return self.config_dir / "archiver-service.conf"

    @property
    def socket(self) -> Path:
        """The server's socket; its name is fixed."""
        return self.socket_dir / f".s.PGSQL.{self.port}"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.log_dir / "postgresql.log"
