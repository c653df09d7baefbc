"""Every family of the tree through Trove's own client: what it claims is done, what it does not is refused in words."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from guestagent import contract
from guestagent.conformance.claims import claimed_by
from guestagent.conformance.datastore import Datastore
from guestagent.conformance.poll import eventually
from guestagent.contract.call import TROVE
from tests.interop.conftest import NewGuest
from tests.interop.families import FAMILIES
from tests.interop.guest import Guest
from tests.interop.test_api_refusals import UNSUPPORTED

NAME, PASSWORD = "interop", "Wee/bickering 2"
WHO = {"username": NAME, "hostname": "%"}
NOTHING = {"config_contents": None}
ASKED: Mapping[str, Mapping[str, Any]] = {
    "rpc_ping": {},
    "get_hwinfo": {},
    "get_diagnostics": {},
    "get_filesystem_stats": {},
    "create_database": {"databases": [{"_name": NAME}]},
    "list_databases": {},
    "create_user": {"users": [{"_name": NAME, "_host": "%", "_password": PASSWORD, "_databases": []}]},
    "list_users": {},
    "get_user": WHO,
    "change_passwords": {"users": [{"name": NAME, "host": "%", "password": f"{PASSWORD}!"}]},
    "update_attributes": {**WHO, "user_attrs": {"password": PASSWORD}},
    "grant_access": {**WHO, "databases": [NAME]},
    "list_access": WHO,
    "revoke_access": {**WHO, "database": NAME},
    "delete_user": {"user": {"_name": NAME, "_host": "%", "_password": None, "_databases": []}},
    "delete_database": {"database": {"_name": NAME, "_character_set": None, "_collate": None}},
    "enable_root": {},
    "enable_root_with_password": {"root_password": PASSWORD},
    "is_root_enabled": {},
    "disable_root": {},
    "update_overrides": {"overrides": {}},
    "apply_overrides": {"overrides": {}},
    "restart": {},
    "stop_db": {},
    "start_db_with_conf_changes": {**NOTHING, "ds_version": None},
    "reset_configuration": {"configuration": NOTHING},
    "guest_log_list": {},
    "module_list": {"include_contents": False},
    "make_read_only": {"read_only": False},
    "ssl_show": {},
    "pre_create_backup": {},
    "post_create_backup": {},
    "pre_upgrade": {},
    **UNSUPPORTED,
}
"""What the control plane sends, in this order, to a family that supports all of it."""
CLIENTS_NAMES = {"get_filesystem_stats": "get_volume_info"}
ELSEWHERE = {
    "prepare": "every test here",
    "create_backup": "test_backups",
    **dict.fromkeys(("mount_volume", "unmount_volume", "resize_fs"), "a device: test_api_server, and the kit's"),
    **dict.fromkeys(("rebuild", "upgrade", "post_upgrade"), "a machine made anew: test_api_server, and the kit's"),
    **dict.fromkeys(("guest_log_action", "module_apply", "module_remove"), "test_api_looks, and the kit's"),
    **dict.fromkeys(("ssl_action", "ssl_rollback"), "a certificate: test_api_looks, and the kit's"),
}
"""Where the client asks for what a family claims, if it is not here."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_answers_the_client_as_it_claims(new_guest: NewGuest, family: type[Datastore]) -> None:
    guest = new_guest(encrypted=True, datastore=family.name, options=lambda directory: family(directory).options())
    guest.prepare(config_contents=family.config_contents, ds_version=family.version)
    claimed = claimed_by(family)
    of_client = {method for namespace, method in contract.ALLOWED if namespace == TROVE}
    assert claimed & of_client <= ASKED.keys() | ELSEWHERE.keys()
    for method, arguments in ASKED.items():
        if method in claimed:
            do(guest, method, arguments)
        else:
            refuse(guest, method, arguments)
    guest.wait_for_status("healthy")


def do(guest: Guest, method: str, arguments: Mapping[str, Any]) -> None:
    """Have it done; a cast is over when the log says so."""
    done = re.compile(rf"\b{method} \(request \S+\) (done|failed.*)")
    before = len(done.findall(guest.agent.text()))
    guest.client.call(CLIENTS_NAMES.get(method, method), **arguments)
    if contract.ALLOWED[TROVE, method].cast:
        eventually(lambda: len(done.findall(guest.agent.text())) > before, timeout=60, message=guest.agent.tail)
        assert done.findall(guest.agent.text())[-1] == "done"


def refuse(guest: Guest, method: str, arguments: Mapping[str, Any]) -> None:
    """Have it refused; of a cast only the log tells."""
    sentence = f"Operation '{method}' is not supported by the '{guest.datastore}' datastore of this guest"
    if contract.ALLOWED[TROVE, method].cast:
        guest.client.call(method, **arguments)
        guest.agent.wait_for_log(sentence)
    else:
        assert sentence in guest.client.refusal(method, **arguments)
