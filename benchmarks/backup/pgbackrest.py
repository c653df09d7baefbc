"""pgBackRest: two processes that copy PostgreSQL's files, each file compressed by itself, into a repository."""

import configparser
import shutil
from pathlib import Path
from typing import Final

from benchmarks.backup.pipelines import Program, flow, settle
from guestagent.backup.job import ServerFacts

PROGRAM: Final = "pgbackrest"
STANZA: Final = "measured"
COMPRESSION: Final = ("--compress-type=zst", "--compress-level=1")
"""The pipeline's; its own default is gzip at level 6."""
NO_ARCHIVE: Final = "--no-archive-check"
PROCESSES: Final = 2
SUPERUSER: Final = "postgres"
BACKUPS: Final = "[0-9]*"
"""The directories of backups; beside them are lists of them."""


class PgBackRest:
    """Backups in a repository of its own.

    No log is archived, so that it neither waits for that nor copies any.

    :param directory: is made.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        self._directory = directory
        self._repository = directory / "repository"

    def back_up(self, server: ServerFacts) -> None:
        """Make a full backup."""
        if not self._repository.exists():
            # In the turn that does not count.
            self._begin(server)
        self._run(server, "backup", *self._origin(server), "--type=full", "--start-fast", NO_ARCHIVE, *COMPRESSION)

    def restore(self, server: ServerFacts) -> None:
        """Make a data directory of the last one."""
        self._run(server, "restore", f"--pg1-path={server.data_dir}", "--type=none")
        settle(server)

    def forget(self) -> None:
        """Remove what was backed up."""
        for path in self._backups.glob(BACKUPS):
            shutil.rmtree(path)

    @property
    def files(self) -> list[Path]:
        """What was backed up."""
        found = (path for backup in self._backups.glob(BACKUPS) for path in backup.rglob("*"))
        return [path for path in found if path.is_file()]

    @property
    def _backups(self) -> Path:
        return self._repository / "backup" / STANZA

    def _begin(self, server: ServerFacts) -> None:
        for path in (self._directory, self._repository):
            path.mkdir(exist_ok=True)
            if server.account:
                shutil.chown(path, server.account, server.account)
        self._run(server, "stanza-create", *self._origin(server))

    def _origin(self, server: ServerFacts) -> list[str]:
        """Where the server is, which the lent file says."""
        known = configparser.ConfigParser()
        known.read_string(Path(server.credentials or "").read_text())
        (service,) = known.sections()
        return [
            f"--pg1-path={server.data_dir}",
            f"--pg1-socket-path={known[service]['host']}",
            f"--pg1-port={known[service]['port']}",
            f"--pg1-user={SUPERUSER}",
        ]

    def _run(self, server: ServerFacts, task: str, *options: str) -> None:
        argv = [
            PROGRAM,
            "--no-config",
            f"--stanza={STANZA}",
            f"--repo1-path={self._repository}",
            f"--lock-path={self._directory}",
            "--log-level-file=off",
            "--log-level-console=warn",
            *options,
        ]
        if task in ("backup", "restore"):
            argv.append(f"--process-max={PROCESSES}")
        flow([Program([*argv, task], server.account)])
