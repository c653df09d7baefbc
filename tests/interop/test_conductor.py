"""What the real conductor takes from the agent, as Trove's database has it afterwards."""

import os
import re
import signal
from pathlib import Path

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.poll import eventually
from tests.interop.conftest import NewGuest, newest
from tests.interop.guest import CREATE, PREPARE, Guest, unique

WRONG_KEY = "x" * 32
both = pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])


def fault(guest: Guest) -> tuple[str, str] | None:
    """The message and the details of what went wrong last, as the API shows it."""
    found = guest.control_plane.database.rows(
        "SELECT message, details FROM instance_faults WHERE instance_id = %s AND deleted = 0", guest.id
    )
    return found[0] if found else None


def told(guest: Guest, event: str) -> int:
    """How often the conductor told the world of an event of the guest's."""
    line = re.compile(rf"notification\.dbaas\.{re.escape(event)}\b.*{guest.id}")
    return sum(1 for one in guest.control_plane.conductor_log().splitlines() if line.search(one))


def last_seen(guest: Guest) -> float:
    """When the guest sent the newest heartbeat that the conductor took."""
    [(sent,)] = guest.control_plane.database.rows(
        "SELECT sent FROM conductor_lastseen WHERE instance_id = %s AND method_name = 'heartbeat'", guest.id
    )
    return float(sent)


@both
def test_an_instance_is_built_and_healthy(new_guest: NewGuest, encrypted: bool) -> None:
    guest = new_guest(encrypted=encrypted)
    assert guest.status() == "new"
    assert bool(guest.key) is encrypted
    keys = {guest.id: guest.key} if guest.key else {}
    with Conductor(guest.control_plane.broker, guest.control_plane.exchange, keys) as listener:
        guest.prepare()
        listener.wait_for_method(guest.id, "notify_end")
        reports = listener.of(guest.id)
    # Trove's conductor leaves out what a newer report has overtaken.
    assert guest.statuses() in (["building", "healthy"], ["healthy"])
    assert reports[0].status == "building"
    eventually(lambda: told(guest, "instance_create.end") == 1)
    assert fault(guest) is None
    assert {report.method for report in reports} == {"heartbeat", "notify_end"}
    assert {report.encrypted_by for report in reports} == {guest.id if encrypted else None}


@both
def test_an_instance_that_cannot_be_built_fails_at_once(new_guest: NewGuest, encrypted: bool) -> None:
    guest = new_guest(encrypted=encrypted)
    guest.client.call("prepare", notify=CREATE, **{**PREPARE, "overrides": {"no_such_setting": 1}})
    guest.agent.start()
    guest.wait_for_status("failed to spawn", 90)
    assert guest.statuses() in (["building", "failed to spawn"], ["failed to spawn"])
    message, details = eventually(lambda: fault(guest))
    assert "no_such_setting" in message
    assert "\n" not in message
    assert details.startswith("Server type: guest\n")
    assert "Traceback" not in details
    assert told(guest, "instance_create.error") == 1
    assert guest.client.refusal("list_databases").endswith("needs a prepared instance, and this one is 'failed'.")


def test_a_wrong_key_is_not_believed(new_guest: NewGuest) -> None:
    guest = new_guest(encrypted=True)
    guest.agent.files["guest_info.conf"]["DEFAULT"]["instance_rpc_encr_key"] = WRONG_KEY
    with Conductor(guest.control_plane.broker, guest.control_plane.exchange, {guest.id: WRONG_KEY}) as listener:
        guest.agent.start()
        listener.wait_for_status(guest.id, "building", timeout=60)
    assert "it is not encrypted with this instance's key" in guest.client.refusal("rpc_ping")
    assert guest.statuses() == []


@newest
def test_users_that_are_created_and_users_that_cannot_be(guest: Guest) -> None:
    name = unique("user")
    user = {"_name": name, "_host": "%", "_password": "Wee/sleekit 1", "_databases": [], "_is_root": False}
    ended, failed, before = told(guest, "user_create.end"), told(guest, "user_create.error"), fault(guest)
    guest.client.call("create_user", notify="DBaaSUserCreate", users=[user])
    eventually(lambda: told(guest, "user_create.end") == ended + 1)
    assert (told(guest, "user_create.error"), fault(guest)) == (failed, before)
    guest.client.call("create_user", notify="DBaaSUserCreate", users=[user])
    eventually(lambda: told(guest, "user_create.error") == failed + 1)
    message, details = eventually(lambda: fault(guest) != before and fault(guest))
    assert message == f"User '{name}@%' exists already on this guest."
    assert details == f"Server type: guest\nAlreadyExists: {message}"
    assert guest.client.rest("GET")[1]["instance"]["fault"]["message"] == message
    assert guest.status() == "healthy"


@newest
def test_a_cast_that_is_not_supported_becomes_the_fault(guest: Guest) -> None:
    guest.client.call("create_backup", notify="DBaaSBackupCreate", backup_info={"id": "b"})
    eventually(lambda: (fault(guest) or ("",))[0].startswith("Operation 'create_backup' is not supported"))


@newest
def test_the_status_follows_the_server(guest: Guest) -> None:
    guest.client.call("stop_db")
    guest.wait_for_status("shutdown")
    guest.restart()
    password = guest.client.call("enable_root")["_password"]
    [(pid_file,)] = guest.log_in("root", password, "SELECT @@pid_file")
    before = len(guest.statuses())
    os.kill(int(Path(pid_file).read_text()), signal.SIGKILL)

    def has_come_back() -> bool:
        # It may be over before anybody looks, and blocked on its way.
        *passed, now = guest.statuses()[before - 1 :]
        return "crashed" in passed and now == "healthy"

    eventually(has_come_back, timeout=30)
    assert guest.lets_in("root", password)
    guest.client.call("disable_root")


@newest
def test_a_restart_that_is_required_is_not_forgotten(guest: Guest) -> None:
    overrides = {"innodb_buffer_pool_chunk_size": 2097152}
    guest.client.call("update_overrides", overrides=overrides)
    guest.apply_until_a_restart_is_required(overrides)
    heard = last_seen(guest)
    eventually(lambda: last_seen(guest) > heard + 1)
    assert guest.status() == "restart required"
    guest.client.call("update_overrides", overrides={}, remove=True)
    guest.restart()
    passed = guest.statuses()
    last = max(n for n, status in enumerate(passed) if status == "restart required")
    assert passed[last + 1] == "restarting"
    assert passed[-1] == "healthy"
