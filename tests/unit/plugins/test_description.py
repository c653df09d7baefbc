"""The capability document, computed from classes."""

import json
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from guestagent import contract
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
from guestagent.system.plain import PlainControl


class Some(BaseDatastoreManager):
    """Supports all of databases, and of users one call of several."""

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        pass

    def list_databases(
        self, context: RequestContext, limit: int | None = None, marker: str | None = None, include_marker: bool = False
    ) -> tuple[list[Database], str | None]:
        return [], None

    def delete_database(self, context: RequestContext, database: Database) -> None:
        pass

    def list_access(self, context: RequestContext, username: str, hostname: str | None = None) -> list[Database]:
        return []


DESCRIPTION = {
    "datastore": {"name": "alpha", "distribution": "guest-alpha", "version": "1.0", "class": "alpha:Manager"},
    "strategies": {"backup": [], "replication": [], "storage": [], "module": []},
}


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(
        id="an-id",
        datastore="alpha",
        conf=cfg.ConfigOpts(),
        state_dir=tmp_path,
        record=InstanceRecord(Store(tmp_path)),
        processes=PlainControl(tmp_path),
        description=DESCRIPTION,
    )


def document_of(manager: type[BaseDatastoreManager], guest: Guest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(manager(guest).describe(RequestContext())))
    return document


def test_it_says_who_answers(guest: Guest) -> None:
    document = document_of(Some, guest)

    assert document["format"] == 1
    assert document["guest_id"] == "an-id"
    assert document["runtime"]["name"] == "guestagent"
    assert document["contract"] == [
        {"namespace": "", "version": "1.3"},
        {"namespace": "guestagent", "version": "1.0"},
    ]
    assert document["datastore"] == DESCRIPTION["datastore"]
    assert document["strategies"] == DESCRIPTION["strategies"]


def test_a_capability_is_supported_when_all_that_it_requires_is_overridden(guest: Guest) -> None:
    capabilities = document_of(Some, guest)["capabilities"]

    assert set(capabilities) == {capability.__name__.lower() for capability in contract.CAPABILITIES}
    assert {name for name, supported in capabilities.items() if supported} == {"agent", "operations", "databases"}


def test_a_call_is_supported_when_it_is_overridden(guest: Guest) -> None:
    class Less(Some):
        delete_database = BaseDatastoreManager.delete_database

    document = document_of(Less, guest)

    runtimes = ("agent", "operations")
    supported = {call["name"] for call in document["calls"] if call["supported"] and call["capability"] not in runtimes}
    assert supported == {"rpc_ping", "create_database", "list_databases", "list_access"}
    assert not document["capabilities"]["databases"]


def test_every_call_of_the_contract_is_there_with_what_a_caller_must_know(guest: Guest) -> None:
    calls = {call["name"]: call for call in document_of(Some, guest)["calls"]}

    assert list(calls) == [declared.name for declared in contract.CALLS]
    assert calls["create_database"] == {
        "name": "create_database",
        "namespaces": [""],
        "capability": "databases",
        "since": "1.0",
        "cast": True,
        "reads": False,
        "repeatable": False,
        "supported": True,
        "summary": "Create the databases in the order given; the first that fails ends the call.",
    }
    assert calls["get_hwinfo"]["namespaces"] == ["guestagent", ""]
    assert calls["ssl_show"]["since"] == "1.3"
    assert all(call["summary"].endswith(".") for call in calls.values())


def test_a_manager_that_nobody_loaded_is_described_by_its_class(tmp_path: Path) -> None:
    alone = Guest("an-id", "alpha", cfg.ConfigOpts(), tmp_path, InstanceRecord(Store(tmp_path)), PlainControl(tmp_path))

    document = document_of(Some, alone)

    assert document["datastore"] == {"name": "alpha", "class": f"{__name__}:Some"}
