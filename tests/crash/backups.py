"""The backups of one guest: what agents die in the making of, and what is in the store then."""

import contextlib
import functools
import hashlib
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.backup import reader
from guestagent.backup.catalog import Catalog
from guestagent.backup.keyring import Keyring
from guestagent.backup.manifest import Manifest
from guestagent.backup.settings import Settings
from guestagent.conformance.dying import State, differences
from guestagent.conformance.poll import eventually
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError
from guestagent.contract.operations import CodePath
from guestagent.storage.local import LocalStorage
from tests.crash.conftest import MakeGuest
from tests.crash.guest import Guest, Sent
from tests.crash.scenarios import PREPARATION, Scenario, fails_and_goes_well_when_asked_again
from tests.crash.state import TOLD_SECONDS, litter

KEY: Final = "0123456789abcdef" * 4
CONTAINER: Final = "database_backups"
OPTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "image": {"backup_strategies": "mariabackup"},
    "backup": {"encryption_keys": f"first:{KEY}", "segment_size": 1 << 20},
}
BEGUN: Final = (None, "BUILDING")
"""What the conductor has heard of a backup whose end it will still hear of."""


class Backups:
    """The store of a guest, and what the conductor knows of the backup that was asked for last.

    :param guest: a prepared one.
    :ivar first: what the conductor was told of the backup that is always there.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.first: Mapping[str, Any] = {}
        self._asked: str | None = None
        self._kept = guest.home.parent / "kept-store"

    @property
    def root(self) -> Path:
        """The store's directory."""
        return self.guest.agent.storage_dir

    def told(self) -> dict[str, Any] | None:
        """What the conductor was told last of the backup that was asked for last."""
        reports = self.guest.conductor.of(self.guest.id, "update_backup")
        return next((dict(one.args) for one in reversed(reports) if one.args["backup_id"] == self._asked), None)

    def state(self) -> str | None:
        """The state of that backup, as the conductor knows it; none: it has heard of none."""
        told = self.told()
        return told["state"] if told else None

    def ask(self, guest: Guest, parent: Mapping[str, Any] | None = None) -> Sent:
        """Have a backup made."""
        self._asked = str(uuid.uuid4())
        info = {
            "id": self._asked,
            "storage_driver": "local",
            "parent": parent and {"location": parent["location"], "checksum": parent["checksum"]},
        }
        return guest.send("create_backup", {"backup_info": info})

    def make(self, parent: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make a backup, and return what the conductor was told of it."""
        self.guest.end_of(self.ask(self.guest, parent))
        return self.completed()

    def completed(self) -> dict[str, Any]:
        """What the conductor was told of the backup that was asked for last, which is there."""
        eventually(lambda: self.state() == "COMPLETED", timeout=TOLD_SECONDS, message=self.guest.agent.tail)
        told = self.told()
        assert told is not None
        return told

    def keep(self) -> None:
        """Make what is in the store now what :meth:`arrange` returns to."""
        self.first = self.completed()
        shutil.copytree(self.root, self._kept, dirs_exist_ok=True)

    def arrange(self, guest: Guest) -> None:
        """Only what was kept is in the store, and no backup is asked for."""
        self._asked = None
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self._kept, self.root)
        self.root.chmod(0o700)

    def look(self) -> Mapping[str, Any]:
        """What belongs to the guest's state: what was kept and what else there is, and what was told of it."""
        if self._asked is not None:
            # Whoever tells it does so after the operation has ended.
            with contextlib.suppress(AssertionError):
                eventually(lambda: self.state() not in BEGUN or not self.guest.agent.running, timeout=TOLD_SECONDS)
        kept = {path.relative_to(self._kept) for path in self._kept.rglob("*") if path.is_file()}
        found = {path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()}
        ours = [one for one in self.catalog().list() if one.id == self._asked]
        others = sorted(str(path) for path in found - kept if self._asked not in str(path))
        return {
            "store.kept": {str(path): _digest(self.root / path) for path in kept & found},
            "store.others": others,
            "store.made": [(one.kind, self.verdict(one)) for one in ours],
            "store.whole": bool(found - kept) == bool(ours),
            "conductor.backup": self.state(),
        }

    def catalog(self) -> Catalog:
        """What is in the store, read without the agent."""
        conf = cfg.ConfigOpts()
        runtime_options.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("storage_dir", str(self.root), "agent")
        return Catalog(LocalStorage(conf), RequestContext(), CONTAINER)

    def verdict(self, one: Manifest) -> str:
        """Whether a backup with all that it builds on can be read through."""
        settings = Settings(keys=Keyring({"first": bytes.fromhex(KEY)}))
        catalog = self.catalog()
        try:
            for link in catalog.chain_of(one.id):
                for _ in reader.read(link, catalog.storage, catalog.context, CONTAINER, settings):
                    pass
        except GuestAgentError as error:
            return str(error)
        return "good"


def prepared(make_guest: MakeGuest, path: CodePath) -> Backups:
    """A prepared guest that makes backups, with one in its store."""
    guest = make_guest(path, options=OPTIONS)
    guest.prepare()
    guest.wait_for_rest()
    backups = Backups(guest)
    backups.make()
    backups.keep()
    guest.beside.append(backups.look)
    return backups


def on_a_store(backups: Backups) -> list[Scenario]:
    """The backups that can be asked for."""
    given_up = functools.partial(left_of_a_failed_one, backups)
    return [
        Scenario(
            "make a full backup",
            "create_backup",
            arrange=backups.arrange,
            ask=backups.ask,
            given_up=given_up,
        ),
        Scenario(
            "make an incremental backup",
            "create_backup",
            arrange=backups.arrange,
            ask=functools.partial(backups.ask, parent=backups.first),
            given_up=given_up,
        ),
    ]


def restoration(backups: Backups) -> Scenario:
    """The instance begins with the backup that is in the store."""
    given = {
        "id": backups.first["backup_id"],
        "type": "full",
        "storage_driver": "local",
        "location": backups.first["location"],
        "checksum": backups.first["checksum"],
    }

    def arrange(guest: Guest) -> None:
        guest.wipe()
        backups.arrange(guest)
        guest.boot()

    found = Scenario(
        "prepare from a backup",
        "prepare",
        {**PREPARATION.arguments, "backup_info": given},
        arrange,
        given_up=functools.partial(fails_and_goes_well_when_asked_again, lambda: found),
    )
    return found


def left_of_a_failed_one(backups: Backups, guest: Guest, after: State) -> list[str]:
    """What is wrong where a backup has failed: the conductor knows, and nothing of it is there."""
    wanted = {"store.made": [], "store.others": [], "store.kept": after["store.kept"], "store.whole": True}
    found = backups.look()
    wrong = differences({**wanted, "conductor.backup": "FAILED"}, found)
    return [f"{name} is {is_now} and not {should}" for name, (should, is_now) in wrong.items()] + litter(guest)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
