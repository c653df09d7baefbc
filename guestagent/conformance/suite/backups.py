"""Backups: made, told to the control plane, and restored into another instance."""

import datetime
import time
import uuid
from typing import Any

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest, MakeGuest
from guestagent.conformance.poll import eventually


def wanted(guest: Guest, **parts: Any) -> dict[str, Any]:
    """What the control plane says of a backup that it wants."""
    info = {
        "id": str(uuid.uuid4()),
        "instance_id": guest.id,
        "backup_type": "full",
        "parent": None,
        "datastore": guest.datastore.name,
        "swift_container": None,
        "storage_driver": "local",
    }
    return info | parts


def told(guest: Guest, backup_id: str) -> list[dict[str, Any]]:
    """What the conductor has heard of a backup."""
    reports = guest.conductor.of(guest.id, "update_backup")
    return [dict(report.args) for report in reports if report.args["backup_id"] == backup_id]


def made(guest: Guest) -> dict[str, Any]:
    """Have a full backup made; what the control plane says of it to an instance that begins with it."""
    info = wanted(guest)
    guest.do("create_backup", backup_info=info)
    ended = told(guest, info["id"])[-1]
    location = {name: ended[name] for name in ("location", "checksum")}
    return {"id": info["id"], "type": "full", "storage_driver": "local", **location}


@claims("create_backup")
@given("backup_strategy", "write", "read")
class TestBackups:
    """With the built-in store."""

    def test_one_is_made_told_and_restored(self, guest: Guest, make_guest: MakeGuest) -> None:
        guest.datastore.write(guest.account, "backed-up", "data")
        info = wanted(guest)
        guest.do("create_backup", backup_info=info)
        begun, *_, ended = told(guest, info["id"])
        assert (begun["state"], ended["state"]) == ("BUILDING", "COMPLETED")
        guest.datastore.write(guest.account, "later", "data")

        found = {"id": info["id"], "location": ended["location"], "checksum": ended["checksum"], "type": "full"}
        other = make_guest()
        other.prepare(databases=[], users=[], backup_info={**found, "storage_driver": "local"})
        assert other.status() == "healthy"
        assert other.datastore.read(other.account, "backed-up") == "data"
        assert other.datastore.read(other.account, "later") is None
        other.close()

    def test_one_builds_on_another_or_it_is_said_that_none_can(self, guest: Guest, make_guest: MakeGuest) -> None:
        full = wanted(guest)
        guest.do("create_backup", backup_info=full)
        parent = {name: told(guest, full["id"])[-1][name] for name in ("location", "checksum")}
        guest.datastore.write(guest.account, "built-on", "data")
        info = wanted(guest, backup_type="incremental", parent=parent)
        if not guest.datastore.incremental:
            assert "incremental" in guest.refusal("create_backup", backup_info=info).sentence
            assert told(guest, info["id"])[-1]["state"] == "FAILED"
            return
        guest.do("create_backup", backup_info=info)
        ended = told(guest, info["id"])[-1]
        found = {"id": info["id"], "location": ended["location"], "checksum": ended["checksum"], "type": "incremental"}
        other = make_guest()
        other.prepare(databases=[], users=[], backup_info={**found, "storage_driver": "local"})
        assert other.datastore.read(other.account, "built-on") == "data"
        other.close()

    def test_one_of_the_same_id_is_not_made_again(self, guest: Guest) -> None:
        info = wanted(guest)
        guest.do("create_backup", backup_info=info)
        guest.wire.cast(guest.id, "create_backup", {"backup_info": info}, key=guest.key)
        guest.do("create_backup", backup_info=wanted(guest))
        assert [one["state"] for one in told(guest, info["id"])].count("COMPLETED") == 1

    def test_one_for_a_store_that_the_image_lacks_fails_and_says_so(self, guest: Guest) -> None:
        info = wanted(guest, storage_driver="no-such-store")
        refused = guest.refusal("create_backup", backup_info=info)
        assert "no-such-store" in refused.sentence

    def test_an_instance_does_not_come_up_empty_without_its_backup(self, guest: Guest, make_guest: MakeGuest) -> None:
        other = make_guest()
        missing = {"id": "x", "location": "local://nowhere/no-such-backup", "checksum": "x", "type": "full"}
        other.agent.boot(other.wire)
        lacking = {"databases": [], "users": [], "backup_info": {**missing, "storage_driver": "local"}}
        other.refusal("prepare", {**other.preparation(), **lacking})
        other.wait_for_status("failed to spawn")
        other.close()


def next_second() -> str:
    """The time, in a second of its own: whatever was done is older, and whatever will be done is younger."""

    def wait() -> int:
        begun = int(time.time())
        return eventually(lambda: now if (now := int(time.time())) > begun else 0)

    found = datetime.datetime.fromtimestamp(wait(), datetime.UTC).isoformat()
    wait()
    return found


@claims("archive_logs", "recovery_window", "create_backup")
@given("archive_strategy", "write", "read")
class TestArchive:
    """Logs in the built-in store, and data as they were between two changes."""

    def test_an_instance_begins_between_two_changes(self, guest: Guest, make_guest: MakeGuest) -> None:
        assert guest.do("archive_logs")["state"] == "good"
        backup = made(guest)
        guest.datastore.write(guest.account, "before-the-moment", "data")
        moment = next_second()
        guest.datastore.write(guest.account, "after-the-moment", "data")
        state = guest.do("archive_logs")
        assert (state["state"], state["waiting_logs"]) == ("good", 0)
        window = guest.do("recovery_window")["window"]
        [gap] = [one["gap"] for one in window["backups"] if one["id"] == backup["id"]]
        assert gap is None

        other = make_guest()
        other.prepare(databases=[], users=[], backup_info={**backup, "recover_to": moment})
        assert other.datastore.read(other.account, "before-the-moment") == "data"
        assert other.datastore.read(other.account, "after-the-moment") is None
        other.close()

    def test_what_is_outside_of_the_window_is_refused(self, guest: Guest, make_guest: MakeGuest) -> None:
        backup = made(guest)
        other = make_guest()
        other.agent.boot(other.wire)
        info = {**backup, "recover_to": "2001-01-01T00:00:00Z"}
        wanted = {**other.preparation(), "databases": [], "users": [], "backup_info": info}
        assert "2001-01-01" in other.refusal("prepare", wanted).sentence
        other.wait_for_status("failed to spawn")
        other.close()
