"""What a person is told when the guest cannot do what was asked, and that every method was tried."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.poll import eventually
from tests.interop.control_plane import ControlPlane
from tests.interop.exercised import EXERCISED
from tests.interop.guest import Guest

ONE_SENTENCE = re.compile(r"An error occurred communicating with the guest: [A-Z'][^\n]*[^.\s]\.")
NOT_FOR_CALLERS = {"get_client"}
"""The class's own business, although its name says otherwise."""
INFO: dict[str, Any] = {"id": "b", "master": {"id": "m"}}
UNSUPPORTED: dict[str, dict[str, Any]] = {
    "backup_required_for_replication": {},
    "get_replication_snapshot": {"snapshot_info": INFO, "replica_source_config": None},
    "detach_replica": {"for_failover": True},
    "get_replica_context": {},
    "attach_replica": {"replica_info": INFO, "slave_config": None, "restart": True},
    "enable_as_master": {"replica_source_config": None},
    "get_txn_count": {},
    "get_last_txn": {},
    "get_latest_txn_id": {},
    "wait_for_txn": {"txn": "0-1-2"},
    "cleanup_source_on_replica_detach": {"replica_info": INFO},
    "demote_replication_master": {},
    "get_root_password": {},
    "update_guest": {},
}
"""Calls that MariaDB's plugin leaves alone, with what the task manager sends."""
UNSUPPORTED_CASTS: dict[str, dict[str, Any]] = {
    "attach_replication_slave": {"snapshot": INFO, "replica_config": None},
    "create_backup": {"backup_info": {**INFO, "location": "x", "type": "y", "checksum": None}},
}
SINCE_1_2 = ("pre_create_backup", "post_create_backup")


@pytest.mark.parametrize("method", UNSUPPORTED)
def test_an_unsupported_call_is_refused_in_one_sentence(guest: Guest, method: str) -> None:
    text = guest.client.refusal(method, **UNSUPPORTED[method])
    assert text == (
        f"An error occurred communicating with the guest: Operation '{method}' is not supported by the 'mariadb'"
        " datastore of this guest; 'describe' lists what is."
    )


@pytest.mark.parametrize("method", UNSUPPORTED_CASTS)
def test_an_unsupported_cast_is_refused_in_the_log_and_harms_nothing(guest: Guest, method: str) -> None:
    before = guest.agent.text().count(f"Operation '{method}' is not supported")
    assert guest.client.call(method, **UNSUPPORTED_CASTS[method]) is None
    eventually(lambda: guest.agent.text().count(f"Operation '{method}' is not supported") > before)
    assert guest.client.call("rpc_ping") is True


@pytest.mark.parametrize("method", SINCE_1_2)
def test_an_older_control_plane_makes_no_snapshots(guest: Guest, method: str) -> None:
    if guest.level == "latest":
        assert isinstance(guest.client.call(method), dict)
    else:
        assert "Operation requires guest version 1.2 or later" in guest.client.refusal(method)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_user", {"username": 7, "hostname": "%"}),
        ("list_databases", {"limit": -1}),
        ("list_access", {"username": "nobody", "hostname": "%"}),
        ("revoke_access", {"username": "nobody", "hostname": "%", "database": "none"}),
        ("grant_access", {"username": "nobody", "hostname": "%", "databases": ["none"]}),
        ("update_overrides", {"overrides": {"no_such_setting": 1}}),
        ("update_overrides", {"overrides": {"max_connections": "many"}}),
        ("guest_log_action", {"log_name": "x", "enable": 1, "disable": None, "publish": None, "discard": None}),
        ("module_remove", {"module": {"module": {"id": "x", "name": "x", "type": "ping"}}}),
        ("mount_volume", {"device_path": "/dev/null", "mount_point": "/mnt/x"}),
        ("start_db_with_conf_changes", {"config_contents": {"config_contents": 7}, "ds_version": "1"}),
        ("post_upgrade", {"upgrade_info": "text"}),
    ],
)
def test_a_refusal_is_one_sentence(guest: Guest, method: str, arguments: dict[str, Any]) -> None:
    text = guest.client.refusal(method, **arguments)
    assert ONE_SENTENCE.fullmatch(text), text
    assert "Traceback" not in text


def test_every_method_of_the_client_is_tried(control_plane: ControlPlane) -> None:
    for module in Path(__file__).parent.glob("test_api_*.py"):
        importlib.import_module(f"{__package__}.{module.stem}" if __package__ else module.stem)
    tried = EXERCISED | set(UNSUPPORTED) | set(UNSUPPORTED_CASTS) | set(SINCE_1_2) | {"prepare"}
    assert tried == set(control_plane.do("public_methods")) - NOT_FOR_CALLERS
