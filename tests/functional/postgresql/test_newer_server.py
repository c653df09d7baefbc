"""The main paths with a server that is newer than the distribution's, and the way to it from the distribution's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.contract.databases import Database
from guestagent.contract.errors import GuestAgentError, InvalidValue
from guestagent.contract.states import ServiceStatus
from tests.functional.postgresql.machine import FLAVOUR, Machine, machine, prepare, shown
from tests.support import newer_postgresql
from tests.support.machine import CONTEXT, PASSWORD, user

NEWER = str(newer_postgresql.MAJOR)
HERE = Path("/usr/lib/postgresql/15")


@pytest.fixture(scope="module")
def guest() -> Iterator[Machine]:
    """A machine with a prepared instance of the newer server."""
    with machine(versions_dir=newer_postgresql.versions_dir()) as made:
        made.backup_strategies = ("pg_basebackup",)
        prepare(
            made.manager(),
            databases=[Database("shop")],
            users=[user("keeper", databases=("shop",))],
            ds_version=NEWER,
        )
        yield made


def test_it_is_prepared_and_its_users_are_let_in(guest: Machine, manager: PostgreSQLManager) -> None:
    assert guest.reports[-1] is ServiceStatus.HEALTHY
    assert manager.pre_upgrade(CONTEXT)["server_version"].startswith(f"{NEWER}.")
    assert shown(manager, "data_checksums") == "on"
    guest.ask("keeper", PASSWORD, "CREATE TABLE kept AS SELECT 1 AS a", "shop")
    manager.create_database(CONTEXT, [Database("other")])
    manager.create_user(CONTEXT, [user("second")])
    manager.grant_access(CONTEXT, "second", None, ["shop"])
    assert guest.ask("second", PASSWORD, "SELECT a FROM kept", "shop") == [[1]]
    manager.revoke_access(CONTEXT, "second", None, "shop")
    with pytest.raises(DatabaseError, match="permission denied"):
        guest.ask("second", PASSWORD, "SELECT 1", "shop")
    manager.delete_user(CONTEXT, user("second"))
    manager.delete_database(CONTEXT, Database("other"))
    assert [one.name for one in manager.list_users(CONTEXT)[0]] == ["keeper"]
    root = manager.enable_root_with_password(CONTEXT, PASSWORD)
    assert guest.ask(root.name, PASSWORD, "SELECT 1") == [[1]]
    manager.disable_root(CONTEXT)


def test_settings_apply_at_once_or_wait_for_a_restart(guest: Machine, manager: PostgreSQLManager) -> None:
    values = {"work_mem": "7MB", "max_connections": 70}
    manager.update_overrides(CONTEXT, values)
    manager.apply_overrides(CONTEXT, values)
    assert shown(manager, "work_mem") == "7MB"
    assert guest.reports[-1] is ServiceStatus.RESTART_REQUIRED
    manager.restart(CONTEXT)
    assert shown(manager, "max_connections") == "70"
    manager.make_read_only(CONTEXT, True)
    with pytest.raises(DatabaseError, match="read-only"):
        guest.ask("keeper", PASSWORD, "CREATE TABLE refused (a int)", "shop")
    manager.make_read_only(CONTEXT, False)


def test_it_tells_what_has_changed_where_backups_are_made_unless_the_user_wants_otherwise(
    guest: Machine, manager: PostgreSQLManager
) -> None:
    manager.update_overrides(CONTEXT, {})
    manager.restart(CONTEXT)
    assert shown(manager, "summarize_wal") == "on"
    # In a log that backups cannot use there is nothing to tell, and the server insists on that.
    values = {"wal_level": "minimal", "max_wal_senders": 0}
    manager.update_overrides(CONTEXT, values)
    with pytest.raises(InvalidValue, match='WAL cannot be summarized when "wal_level" is "minimal"'):
        manager.restart(CONTEXT)
    assert shown(manager, "wal_level") == "replica"
    manager.update_overrides(CONTEXT, {**values, "summarize_wal": False})
    manager.restart(CONTEXT)
    assert (shown(manager, "summarize_wal"), shown(manager, "wal_level")) == ("off", "minimal")
    manager.update_overrides(CONTEXT, {})
    guest.backup_strategies = ()
    try:
        without = guest.manager()
        without.restart(CONTEXT)
        assert shown(without, "summarize_wal") == "off"
        without.connections.close()
    finally:
        guest.backup_strategies = ("pg_basebackup",)
    manager.restart(CONTEXT)
    assert shown(manager, "summarize_wal") == "on"


class TestMajorUpgrade:
    """pg_upgrade from the distribution's server to the newer one."""

    @pytest.fixture
    def older(self) -> Iterator[Machine]:
        """A machine with an instance of the distribution's server, whose image holds both."""
        with machine() as made:
            made.backup_strategies = ("pg_basebackup",)
            versions = made.directory / "versions"
            versions.mkdir()
            (versions / "15").symlink_to(HERE)
            (versions / NEWER).symlink_to(newer_postgresql.versions_dir() / NEWER)
            made.conf.set_override("versions_dir", str(versions), "postgresql")
            prepare(made.manager(), databases=[Database("kept")], users=[user("keeper", databases=("kept",))])
            made.ask("keeper", PASSWORD, "CREATE TABLE t AS SELECT generate_series(1, 1000) a", "kept")
            yield made

    def test_the_data_get_there(self, older: Machine) -> None:
        manager = older.manager()
        manager.upgrade(CONTEXT, {"datastore_version": NEWER})
        assert older.reports[-1] is ServiceStatus.HEALTHY
        assert manager.pre_upgrade(CONTEXT)["server_version"].startswith(f"{NEWER}.")
        assert older.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        assert manager.list_access(CONTEXT, "keeper") == [Database("kept")]
        assert shown(manager, "summarize_wal") == "on"
        assert sorted(path.name for path in older.volume.iterdir()) == ["data"]
        manager.rebuild(CONTEXT, NEWER, FLAVOUR, {})
        assert older.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        manager.connections.close()

    def test_one_that_fails_late_ends_with_the_former_server(
        self, older: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manager = older.manager()
        exchange = manager._exchange_data

        def spoil() -> None:
            exchange()
            (older.volume / "data" / "global" / "pg_control").write_bytes(b"klingon")

        monkeypatch.setattr(manager, "_exchange_data", spoil)
        with pytest.raises(GuestAgentError):
            manager.upgrade(CONTEXT, {"datastore_version": NEWER})
        assert older.reports[-1] is ServiceStatus.HEALTHY
        assert older.ask("keeper", PASSWORD, "SELECT count(*) FROM t", "kept") == [[1000]]
        assert sorted(path.name for path in older.volume.iterdir()) == ["data"]
        manager.connections.close()
