"""postgres from anywhere: there when it is asked for, and never otherwise."""

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from tests.functional.postgresql.machine import Machine
from tests.support.machine import CONTEXT

REFUSED = "password authentication failed"


def test_an_enabled_root_can_do_everything(guest: Machine, manager: PostgreSQLManager) -> None:
    root = manager.enable_root(CONTEXT)
    assert (root.name, root.host, root.is_root) == ("postgres", "%", True)
    assert len(root.password or "") >= 20
    assert manager.is_root_enabled(CONTEXT)
    guest.ask("postgres", root.password or "", "CREATE ROLE made_by_root SUPERUSER")
    guest.ask("postgres", root.password or "", "DROP ROLE made_by_root")


def test_a_disabled_root_is_out_and_what_it_made_goes_on(guest: Machine, manager: PostgreSQLManager) -> None:
    password = manager.enable_root(CONTEXT).password or ""
    guest.ask("postgres", password, "CREATE OR REPLACE VIEW one AS SELECT 1 AS a")
    for _ in range(2):
        manager.disable_root(CONTEXT)
        assert not manager.is_root_enabled(CONTEXT)
    for attempt in (password, "", "invalid"):
        with pytest.raises(DatabaseError, match=REFUSED):
            guest.log_in("postgres", attempt)
    assert manager.connections.fetch("Looking", "SELECT * FROM public.one") == [[1]]
    again = manager.enable_root(CONTEXT).password or ""
    assert guest.ask("postgres", again, "SELECT 1") == [[1]]


def test_a_root_that_shot_itself_in_the_foot_is_enabled_again(guest: Machine, manager: PostgreSQLManager) -> None:
    password = manager.enable_root(CONTEXT).password or ""
    guest.ask(
        "postgres", password, "ALTER ROLE postgres NOSUPERUSER NOLOGIN VALID UNTIL '2001-01-01' CONNECTION LIMIT 0"
    )
    again = manager.enable_root(CONTEXT).password or ""
    guest.ask("postgres", again, "CREATE ROLE made_by_root SUPERUSER")
    guest.ask("postgres", again, "DROP ROLE made_by_root")


def test_an_agent_whose_role_is_gone_makes_it_anew(guest: Machine, manager: PostgreSQLManager) -> None:
    password = manager.enable_root(CONTEXT).password or ""
    manager.connections.close()
    for statement in ("ALTER ROLE guestagent NOSUPERUSER", "DROP ROLE guestagent"):
        guest.ask("postgres", password, statement)
        manager.connections.close()
        assert guest.manager().list_users(CONTEXT) == ([], None)
