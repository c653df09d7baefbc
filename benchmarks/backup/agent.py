"""The agent's way: its own worker, with the options that an operator gets who sets none."""

import itertools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.backup.memory import PeakMemory
from guestagent.backup import errand
from guestagent.backup.job import Backup, Done, Job, Place, Restore, ServerFacts
from guestagent.backup.progress import silent
from guestagent.conformance.agent import Groups, render

CONTAINER: Final = "backups"
PLACE: Final = Place("local", None, CONTAINER)
CONTEXT: Final[dict[str, Any]] = {"is_admin": True}
KEY_BYTES: Final = 32


class Agent:
    """Backups as the agent makes them, in its local storage.

    :param directory: is made; holds its files and the backups.
    :param strategy: that the image would declare.
    :param encrypted: with a key that is made for it.
    :ivar peak: the most memory that a worker has had so far, in MiB.
    """

    def __init__(self, directory: Path, strategy: str, *, encrypted: bool) -> None:
        directory.mkdir()
        self.peak = 0.0
        self._strategy = strategy
        self._storage = directory / "storage"
        options: Groups = {"agent": {"storage_dir": self._storage}}
        if encrypted:
            keys = directory / "keys"
            keys.write_text(f"only {os.urandom(KEY_BYTES).hex()}\n")
            keys.chmod(0o600)
            options["backup"] = {"encryption_key_file": keys}
        files = directory / "agent.conf"
        files.write_text(render(options))
        self._arguments: Sequence[str] = [f"--config-file={files}"]
        self._numbers = itertools.count(1)
        self._location: str | None = None

    def back_up(self, server: ServerFacts) -> None:
        """Make a full backup in place of the last one."""
        backup_id = f"full-{next(self._numbers)}"
        done = self._send(Backup(CONTEXT, PLACE, self._strategy, server, backup_id, instance_id="measured"))
        self._location = done.location

    def restore(self, server: ServerFacts) -> None:
        """Make a data directory of the last one."""
        assert self._location is not None
        self._send(Restore(CONTEXT, PLACE, server, self._location, server.data_dir))

    def forget(self) -> None:
        """Remove what was backed up."""
        shutil.rmtree(self._storage, ignore_errors=True)

    @property
    def files(self) -> list[Path]:
        """What was backed up."""
        return [path for path in self._storage.rglob("*") if path.is_file()]

    def _send(self, job: Job) -> Done:
        with PeakMemory(errand.WORKER) as memory:
            done = errand.send(job, self._arguments, silent, Done)
        self.peak = max(self.peak, memory.mib)
        return done
