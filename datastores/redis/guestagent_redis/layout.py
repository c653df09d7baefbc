"""Where everything of one server lies."""

from pathlib import Path

import msgspec

USERS_FILE = "users.acl"
DUMP = "dump.rdb"
APPEND_DIR = "appendonlydir"
APPEND_FILE = "appendonly.aof"


class Layout(msgspec.Struct, frozen=True):
    """The places of one server's files.

    The data are one level below the mount point, where only the agent writes.

    :ivar mount_point: the data volume.
    :ivar config_dir: the configuration files that the agent writes.
    :ivar log_dir: the server's log.
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
    def users_file(self) -> Path:
        """The server's users, one a line, as it writes them itself."""
        return self.data_dir / USERS_FILE

    @property
    def append_manifest(self) -> Path:
        """Names the files of an append-only log; when it exists they are complete."""
        return self.data_dir / APPEND_DIR / f"{APPEND_FILE}.manifest"

    @property
    def scratch_dir(self) -> Path:
        """What a backup or a restore needs meanwhile."""
        return self.mount_point / ".backup-scratch"

    @property
    def draft_dir(self) -> Path:
        """What it takes to go on with a backup when its maker has died."""
        return self.mount_point / ".backup-draft"

    @property
    def tls_dir(self) -> Path:
        """The certificate files."""
        return self.mount_point / "tls"

    @property
    def main_file(self) -> Path:
        """The one file that the server is started with; it includes the layers."""
        return self.config_dir / "server.conf"

    @property
    def trial_file(self) -> Path:
        """A configuration that the server's program is asked about; exists only meanwhile."""
        return self.config_dir / "trial.conf"

    @property
    def lent_credentials(self) -> Path:
        """The agent's credentials for a program that runs as the server's account; exists only while it runs."""
        return self.config_dir / "lent"

    @property
    def log_file(self) -> Path:
        """What the server says about itself."""
        return self.log_dir / "server.log"
