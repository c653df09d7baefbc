"""Guest logs of a real server: what is in them, and what never is."""

from collections.abc import Iterator

import pytest
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.contract.users import PasswordChange, User
from guestagent.storage.local import LocalStorage
from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user


@pytest.fixture(autouse=True)
def client(manager: PostgreSQLManager) -> Iterator[None]:
    manager.create_user(CONTEXT, [user("client")])
    yield
    manager.guest_log_action(CONTEXT, "general", disable=1, discard=1)
    manager.delete_user(CONTEXT, User("client"))


def status(manager: PostgreSQLManager, name: str) -> str:
    [found] = [log.status for log in manager.guest_log_list(CONTEXT) if log.name == name]
    return found


def published(guest: Machine, name: str) -> str:
    storage = LocalStorage(guest.conf)
    container = guest.conf.guest_log_container_name
    names = storage.list(CONTEXT, container, f"postgresql-test/postgresql-{name}/")
    return b"".join(b"".join(storage.get(CONTEXT, container, one)) for one in names).decode()


def test_the_logs_are_off_but_for_the_servers_own(guest: Machine, manager: PostgreSQLManager) -> None:
    found = {log.name: (log.type, log.status) for log in manager.guest_log_list(CONTEXT)}
    assert found["general"] == ("USER", "Disabled")
    assert found["error"] == ("SYS", "Ready")
    asked = RequestContext({"is_admin": False})
    assert [log.name for log in manager.guest_log_list(asked)] == ["general"]
    with pytest.raises(InvalidValue):
        manager.guest_log_action(CONTEXT, "error", disable=1)


def test_the_general_log_holds_the_clients_statements(guest: Machine, manager: PostgreSQLManager) -> None:
    assert manager.guest_log_action(CONTEXT, "general", enable=1).status in ("Enabled", "Ready")
    guest.ask("client", PASSWORD, "SELECT 'first statement'")
    manager.restart(CONTEXT)
    assert status(manager, "general") == "Ready"
    guest.ask("client", PASSWORD, "SELECT 'second statement'")
    assert manager.guest_log_action(CONTEXT, "general", publish=1).status == "Published"
    text = published(guest, "general")
    assert "first statement" in text
    assert "second statement" in text

    manager.guest_log_action(CONTEXT, "general", disable=1)
    guest.ask("client", PASSWORD, "SELECT 'third statement'")
    assert status(manager, "general") == "Disabled"
    assert "third statement" not in manager.layout.log.read_text()


def test_publishing_a_log_that_is_off_switches_it_on_also_while_the_server_is_down(manager: PostgreSQLManager) -> None:
    manager.stop_db(CONTEXT)
    manager.guest_log_action(CONTEXT, "general", publish=1)
    assert status(manager, "general") != "Disabled"
    manager.restart(CONTEXT)
    assert status(manager, "general") != "Disabled"


def test_the_agents_statements_and_its_passwords_are_in_no_log(guest: Machine, manager: PostgreSQLManager) -> None:
    manager.guest_log_action(CONTEXT, "general", enable=1)
    everything = {"log_duration": True, "log_min_duration_statement": 0, "log_min_error_statement": "debug5"}
    manager.update_overrides(CONTEXT, everything)
    manager.apply_overrides(CONTEXT, everything)
    secrets = ["first-secret-of-bob", "second-secret-of-bob", manager.enable_root(CONTEXT).password or ""]
    manager.create_user(CONTEXT, [user("bob", secrets[0])])
    manager.change_passwords(CONTEXT, [PasswordChange("bob", secrets[1])])
    with pytest.raises(Exception, match="exists"):
        manager.create_user(CONTEXT, [user("bob", secrets[0])])
    manager.list_users(CONTEXT)
    assert manager.answers()
    manager.delete_user(CONTEXT, User("bob"))
    guest.ask("client", PASSWORD, "SELECT 'a statement of the client'")

    text = manager.layout.log.read_text()
    assert "a statement of the client" in text
    assert "bob" not in text
    assert "SCRAM" not in text
    assert not [secret for secret in secrets if secret in text]
    manager.update_overrides(CONTEXT, {})
    manager.apply_overrides(CONTEXT, {})
