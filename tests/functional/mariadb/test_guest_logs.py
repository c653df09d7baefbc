"""Guest logs of a real server: what is in them, and what never is."""

from collections.abc import Iterator

import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.conformance.poll import eventually
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.contract.users import PasswordChange, User
from guestagent.storage.local import LocalStorage
from tests.functional.mariadb.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user


@pytest.fixture(autouse=True)
def client(guest: Machine, manager: MariaDBManager) -> Iterator[None]:
    manager.create_user(CONTEXT, [user("client")])
    yield
    for name in ("general", "slow_query"):
        manager.guest_log_action(CONTEXT, name, disable=1, discard=1)
    manager.delete_user(CONTEXT, User("client"))


def status(manager: MariaDBManager, name: str) -> str:
    [found] = [log.status for log in manager.guest_log_list(CONTEXT) if log.name == name]
    return found


def published(guest: Machine, manager: MariaDBManager, name: str) -> str:
    storage = LocalStorage(guest.conf)
    container = guest.conf.guest_log_container_name
    names = storage.list(CONTEXT, container, f"mariadb-test/mariadb-{name}/")
    return b"".join(b"".join(storage.get(CONTEXT, container, one)) for one in names).decode()


def test_the_logs_are_off_but_for_the_servers_own(manager: MariaDBManager) -> None:
    found = {log.name: (log.type, log.status) for log in manager.guest_log_list(CONTEXT)}
    assert found["general"] == ("USER", "Disabled")
    assert found["slow_query"] == ("USER", "Disabled")
    assert found["error"] == ("SYS", "Ready")


def test_users_see_what_the_operator_exposes(guest: Machine, manager: MariaDBManager) -> None:
    asked = RequestContext({"is_admin": False})
    assert [log.name for log in manager.guest_log_list(asked)] == ["general", "slow_query"]
    guest.conf.set_override("guest_log_exposed_logs", ["all"], "mariadb")
    assert "error" in [log.name for log in manager.guest_log_list(asked)]
    guest.conf.clear_override("guest_log_exposed_logs", "mariadb")


def test_the_general_log_holds_the_clients_statements(guest: Machine, manager: MariaDBManager) -> None:
    assert manager.guest_log_action(CONTEXT, "general", enable=1).status in ("Enabled", "Ready")
    guest.ask("client", PASSWORD, "SELECT 'first statement'")
    manager.restart(CONTEXT)
    assert status(manager, "general") == "Ready"
    guest.ask("client", PASSWORD, "SELECT 'second statement'")
    eventually(lambda: manager.layout.general_log.read_text().endswith("Quit\t\n"))
    assert manager.guest_log_action(CONTEXT, "general", publish=1).status == "Published"
    text = published(guest, manager, "general")
    assert "first statement" in text
    assert "second statement" in text

    manager.guest_log_action(CONTEXT, "general", disable=1)
    guest.ask("client", PASSWORD, "SELECT 'third statement'")
    manager.restart(CONTEXT)
    guest.ask("client", PASSWORD, "SELECT 'fourth statement'")
    assert status(manager, "general") == "Disabled"
    written = manager.layout.general_log.read_text()
    assert "second statement" in written
    assert "third statement" not in written
    assert "fourth statement" not in written


def test_the_slow_log_holds_what_takes_long(guest: Machine, manager: MariaDBManager) -> None:
    manager.guest_log_action(CONTEXT, "slow_query", enable=1)
    guest.ask("client", PASSWORD, "SELECT SLEEP(1.1)")
    guest.ask("client", PASSWORD, "SELECT 'quick'")
    # The server answers before it writes a statement down.
    eventually(lambda: "SLEEP(1.1)" in manager.layout.slow_query_log.read_text())
    manager.guest_log_action(CONTEXT, "slow_query", publish=1)
    text = published(guest, manager, "slow_query")
    assert "SLEEP(1.1)" in text
    assert "quick" not in text


def test_publishing_a_log_that_is_off_switches_it_on(manager: MariaDBManager) -> None:
    manager.guest_log_action(CONTEXT, "general", publish=1)
    assert manager.connections.fetch("Reading", "SELECT @@GLOBAL.general_log") == [(1,)]


def test_the_agents_statements_and_its_passwords_are_in_no_log(guest: Machine, manager: MariaDBManager) -> None:
    for name in ("general", "slow_query"):
        manager.guest_log_action(CONTEXT, name, enable=1)
    manager.connections.execute("Logging everything", "SET GLOBAL long_query_time = 0")
    manager.connections.close()
    secrets = ["first-secret-of-bob", "second-secret-of-bob", manager.enable_root(CONTEXT).password or ""]
    manager.create_user(CONTEXT, [user("bob", secrets[0])])
    manager.change_passwords(CONTEXT, [PasswordChange("bob", secrets[1])])
    manager.list_users(CONTEXT)
    assert manager.answers()
    manager.delete_user(CONTEXT, User("bob"))
    guest.ask("client", PASSWORD, "SELECT 'a statement of the client'")

    for path in (manager.layout.general_log, manager.layout.slow_query_log):
        # The server answers before it writes the statement down, and what came before is there by then.
        eventually(lambda path=path: "a statement of the client" in path.read_text())  # type: ignore[misc]
        text = path.read_text()
        assert "bob" not in text
        assert not [secret for secret in secrets if secret in text]


def test_a_log_is_switched_while_the_server_is_down(manager: MariaDBManager) -> None:
    manager.stop_db(CONTEXT)
    manager.guest_log_action(CONTEXT, "general", enable=1)
    assert status(manager, "general") != "Disabled"
    manager.restart(CONTEXT)
    assert manager.connections.fetch("Reading", "SELECT @@GLOBAL.general_log") == [(1,)]


def test_the_error_log_cannot_be_switched(manager: MariaDBManager) -> None:
    with pytest.raises(InvalidValue):
        manager.guest_log_action(CONTEXT, "error", disable=1)
