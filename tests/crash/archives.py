"""The archived logs of one guest: what agents die in the keeping of, and what is in the store then."""

import shutil
from collections.abc import Mapping
from typing import Any, Final

from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.backup import reader
from guestagent.backup.log_store import FOLDER, SUFFIX, LogStore
from guestagent.backup.settings import Settings
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError
from guestagent.contract.operations import CodePath
from guestagent.storage.local import LocalStorage
from tests.crash.backups import CONTAINER
from tests.crash.conftest import MakeGuest
from tests.crash.guest import KEPT, Guest
from tests.crash.scenarios import Scenario

OPTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "image": {"backup_strategies": "mariabackup", "archive_strategies": "mariadb_binlog"},
    "mariadb": {"binary_log": True},
    "backup": {"compression": "none", "segment_size": 1 << 20},
}
ROWS: Final = 60
"""Of 60 kB each that are changed in a log, so that it has several segments."""


class Archive:
    """The store of a guest.

    :param guest: a prepared one.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        conf = cfg.ConfigOpts()
        runtime_options.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("storage_dir", str(guest.agent.storage_dir), "agent")
        self._store = LogStore(LocalStorage(conf), RequestContext(), CONTAINER, guest.id)

    def arrange(self, guest: Guest) -> None:
        """One log that the server has closed, and the changes after it, are in no store; nothing else is."""
        shutil.rmtree(guest.agent.storage_dir, ignore_errors=True)
        (guest.agent.state_dir / "archive.json").unlink(missing_ok=True)
        guest.execute(
            f"DELETE FROM {KEPT}.t WHERE a > 1",
            "RESET MASTER",
            "SET SESSION binlog_format = ROW",
            f"INSERT INTO {KEPT}.t SELECT seq, REPEAT('x', 60000) FROM {KEPT}.seq_2_to_{ROWS}",
            "FLUSH BINARY LOGS",
            f"DELETE FROM {KEPT}.t WHERE a > 1",
        )

    def look(self) -> Mapping[str, Any]:
        """What belongs to the guest's state: which changes are in the store, and what is there beside them."""
        links = self._store.links()
        names = self._store.storage.list(self._store.context, CONTAINER, f"{FOLDER}/")
        sealed = {name.split("/")[2] for name in names if name.endswith(SUFFIX)}
        # Their names have the second in which they began.
        return {
            "archive.logs": sorted(name.rpartition("-")[0] for name in links),
            "archive.damage": [verdict for name, ends in links.items() if (verdict := self._verdict(name, ends))],
            "archive.begun": [name for name in names if name.split("/")[2] not in sealed],
            "archive.kept": sorted(row[0] for row in self.guest.rows("SHOW BINARY LOGS")),
        }

    def _verdict(self, name: str, ends: str) -> str | None:
        """What is wrong with an archived log; none: nothing."""
        store = self._store
        try:
            found = store.find(name, ends)
            for _ in reader.read(found, store.storage, store.context, CONTAINER, Settings()):
                pass
        except GuestAgentError as error:
            return str(error)
        return None


def prepared(make_guest: MakeGuest, path: CodePath) -> Archive:
    """A prepared guest that archives its binary logs."""
    guest = make_guest(path, options=OPTIONS)
    guest.prepare()
    guest.wait_for_rest()
    archive = Archive(guest)
    guest.beside.append(archive.look)
    return archive


def archiving(archive: Archive) -> Scenario:
    """What is closed is archived."""
    return Scenario(
        "archive logs",
        "archive_logs",
        arrange=archive.arrange,
        own=True,
        # What is whole in the store is good.
        may_stay=["archive.logs", "archive.kept"],
    )
