"""A backup of every family in the control plane's books: asked for by its client, told to its conductor, restored."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.claims import claimed_by
from guestagent.conformance.datastore import Account, Datastore
from guestagent.conformance.poll import eventually
from tests.interop.conftest import NewGuest
from tests.interop.families import FAMILIES
from tests.interop.guest import Guest

BACKED_UP = [family for family in FAMILIES if family.backup_strategy]
BACKUP_SECONDS = 120.0
PREPARED = re.compile(r"\bprepare \(request \S+\) done")
APP = Account("app", "Wee/bickering 2", "shop")


@dataclasses.dataclass
class Instance:
    """A guest, and what reaches its server."""

    guest: Guest
    datastore: Datastore
    account: Account

    def prepare(self, **arguments: Any) -> None:
        """Have it prepared, with what of the account the datastore knows."""
        databases = [{"_name": self.account.database}] if self.account.database else []
        user = {"_name": APP.name, "_host": "%", "_password": APP.password, "_databases": databases}
        contents = {"databases": databases, "users": [user]}
        how = {"config_contents": self.datastore.config_contents, "ds_version": self.datastore.version}
        self.guest.prepare(**contents | how | arguments)
        # An instance is healthy before it has its users, as the control plane's own.
        log = self.guest.agent.text
        eventually(lambda: PREPARED.search(log()), message=log)


def make(new_guest: NewGuest, family: type[Datastore], storage: Path, has_databases: bool) -> Instance:
    """An instance whose image has the family's backups, not booted yet."""
    described: list[Datastore] = []

    def options(directory: Path) -> Any:
        described.append(family(directory))
        return described[0].options()

    guest = new_guest(encrypted=True, datastore=family.name, options=options)
    guest.agent.files["image.conf"]["image"]["backup_strategies"] = family.backup_strategy
    guest.agent.files["machine.conf"]["agent"]["storage_dir"] = storage
    account = APP if has_databases else dataclasses.replace(APP, database=None)
    return Instance(guest, described[0], account)


@pytest.mark.parametrize("family", BACKED_UP, ids=lambda family: family.__name__)
def test_a_backup_is_in_the_books_and_comes_back(new_guest: NewGuest, family: type[Datastore], tmp_path: Path) -> None:
    has_databases = "create_database" in claimed_by(family)
    first, second = (make(new_guest, family, tmp_path / "storage", has_databases) for _ in range(2))
    first.prepare()
    first.datastore.write(first.account, "tea", "green")

    control_plane = first.guest.control_plane
    backup_id = control_plane.do("create_backup", instance_id=first.guest.id)
    info = {
        "id": backup_id,
        "instance_id": first.guest.id,
        "backup_type": "full",
        "parent": None,
        "datastore": family.name,
        "swift_container": None,
        "storage_driver": "local",
    }
    first.guest.client.call("create_backup", notify="DBaaSBackupCreate", backup_info=info)
    book = eventually(lambda: ended(first.guest, backup_id), timeout=BACKUP_SECONDS, message=first.guest.agent.tail)
    assert book["state"] == "COMPLETED"

    found = {"id": backup_id, "type": "full", "storage_driver": "local", "instance_id": first.guest.id}
    found |= {name: book[name] for name in ("location", "checksum")}
    second.prepare(databases=[], users=[], backup_info=found)
    assert second.datastore.read(second.account, "tea") == "green"


def ended(guest: Guest, backup_id: str) -> Mapping[str, Any] | None:
    """What the control plane's database says of a backup that is made, or failed."""
    names = ("state", "location", "checksum")
    [row] = guest.control_plane.database.rows(f"SELECT {', '.join(names)} FROM backups WHERE id = %s", backup_id)
    found = dict(zip(names, row, strict=True))
    return found if found["state"] in ("COMPLETED", "FAILED") else None
