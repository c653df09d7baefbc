"""The request that makes an instance is sent before its guest boots."""

from guestagent.conformance.wire import Wire
from tests.interop.conftest import NewGuest
from tests.interop.guest import CREATE, PREPARE


def test_prepare_waits_for_the_guest(new_guest: NewGuest) -> None:
    guest = new_guest(encrypted=True)
    broker = guest.control_plane.broker
    broker_log = len(broker.log.read_text())
    with Wire(broker, guest.control_plane.exchange) as wire:
        guest.client.call("prepare", notify=CREATE, **PREPARE)
        assert wire.waiting(guest.id) == 1
        guest.agent.start()
        guest.wait_for_status("healthy", 90)
        assert wire.waiting(guest.id) == 0
    assert "PRECONDITION_FAILED" not in broker.log.read_text()[broker_log:]
    assert "PRECONDITION_FAILED" not in guest.agent.text()


def test_prepare_reaches_a_guest_that_was_faster(new_guest: NewGuest) -> None:
    guest = new_guest(encrypted=False)
    guest.agent.start()
    guest.agent.wait_for_log("Listening on", 60)
    guest.client.call("prepare", notify=CREATE, **PREPARE)
    guest.wait_for_status("healthy", 90)


def test_what_prepare_was_sent_for_is_there(new_guest: NewGuest) -> None:
    guest = new_guest(encrypted=True)
    database, user, password = "burns", "mousie", "Wee/sleekit 1"
    guest.prepare(
        databases=[{"_name": database, "_character_set": "utf8mb4", "_collate": None}],
        users=[
            {
                "_name": user,
                "_host": "%",
                "_password": password,
                "_databases": [{"_name": database}],
                "_is_root": False,
            }
        ],
        root_password="from-the-start",
        overrides={"max_connections": 71},
    )
    guest.agent.wait_for_log("prepare (request")
    assert guest.log_in(user, password, "SHOW DATABASES LIKE 'burns'") == ((database,),)
    assert guest.log_in("root", "from-the-start", "SELECT @@max_connections") == ((71,),)


def test_a_second_prepare_changes_nothing(new_guest: NewGuest) -> None:
    guest = new_guest(encrypted=True)
    guest.prepare(databases=[{"_name": "kept"}])
    guest.agent.wait_for_log("prepare (request")
    guest.client.call("prepare", notify=CREATE, **PREPARE)
    guest.agent.wait_for_log("prepare came again")
    assert [item["_name"] for item in guest.client.call("list_databases")[0]] == ["kept"]
    assert guest.statuses() in (["building", "healthy"], ["healthy"])
