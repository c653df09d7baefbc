"""The user's configuration: what is refused, what applies at once, what waits, and the way back."""

from collections.abc import Iterator
from typing import Any

import pytest
from guestagent_postgresql.manager import PostgreSQLManager

from guestagent.capabilities.configuration import OVERRIDES
from guestagent.contract.errors import DatastoreDown, InvalidValue
from guestagent.contract.states import ServiceStatus
from tests.functional.postgresql.machine import FLAVOUR, Machine, shown
from tests.support.machine import CONTEXT


def overrides(manager: PostgreSQLManager) -> str:
    return manager.configuration.read("overrides")


@pytest.fixture
def from_the_flavour(guest: Machine, manager: PostgreSQLManager) -> Iterator[None]:
    """The test begins with the flavour's configuration in force."""
    manager.update_overrides(CONTEXT, {}, remove=True)
    manager.restart(CONTEXT)
    guest.reports.clear()
    yield
    assert manager.answers()


def attach(manager: PostgreSQLManager, values: dict[str, Any]) -> None:
    """The two calls of the control plane."""
    manager.update_overrides(CONTEXT, values, remove=False)
    manager.apply_overrides(CONTEXT, values)


@pytest.mark.usefixtures("from_the_flavour")
class TestLive:
    """What the server takes while it runs."""

    def test_every_kind_of_value(self, manager: PostgreSQLManager) -> None:
        given: dict[str, Any] = {
            "maintenance_work_mem": 65536,
            "Random_Page_Cost": 1.25,
            "enable_seqscan": False,
            "jit": "on",
            "application_name": "it's # 1; \\ here",
            "DateStyle": "SQL, DMY",
            "myapp.setting": "mine",
        }
        found = {**given, "maintenance_work_mem": "64MB", "Random_Page_Cost": "1.25", "enable_seqscan": "off"}
        del found["application_name"]
        attach(manager, given)
        for _ in range(2):
            assert {name: shown(manager, name) for name in found} == found
            [value] = manager.connections.fetch(
                "Reading", "SELECT setting FROM pg_file_settings WHERE name = 'application_name'"
            )
            assert value == [given["application_name"]]
            manager.restart(CONTEXT)

    def test_the_agent_means_the_same_whatever_the_user_set(self, manager: PostgreSQLManager) -> None:
        attach(
            manager,
            {
                "standard_conforming_strings": False,
                "search_path": "nowhere",
                "statement_timeout": 1,
                "lock_timeout": 1,
                "row_security": False,
                "default_transaction_isolation": "serializable",
                "password_encryption": "md5",
            },
        )
        manager.restart(CONTEXT)
        assert manager.list_users(CONTEXT) == ([], None)
        assert manager.connections.fetch("Reading", "SELECT '\\'") == [["\\"]]

    @pytest.mark.parametrize("name", ["session_preload_libraries", "local_preload_libraries"])
    def test_what_would_lock_everybody_out_never_reaches_the_files(self, manager: PostgreSQLManager, name: str) -> None:
        attach(manager, {"work_mem": "5MB"})
        before = overrides(manager)
        # The program alone does not load a library, and whatever has the server read its files would end all logins.
        with pytest.raises(InvalidValue, match="klingon"):
            manager.update_overrides(CONTEXT, {"work_mem": "6MB", name: "klingon"})
        with pytest.raises(InvalidValue, match="klingon"):
            manager.reset_configuration(CONTEXT, {"config_contents": f"{FLAVOUR}{name}='klingon'\n"})
        assert overrides(manager) == before
        manager.make_read_only(CONTEXT, False)
        assert shown(manager, "work_mem") == "5MB"

    def test_what_would_lock_everybody_out_is_taken_back(self, guest: Machine, manager: PostgreSQLManager) -> None:
        attach(manager, {"work_mem": "5MB"})
        wrong = {"work_mem": "6MB", "session_preload_libraries": "klingon"}
        manager.remember_replaced(overrides(manager))
        # As of a library that has gone since.
        manager.configuration.write(OVERRIDES, manager.render(wrong))
        with pytest.raises(InvalidValue, match="klingon"):
            manager.apply_overrides(CONTEXT, wrong)
        assert guest.manager().answers()
        assert shown(manager, "work_mem") == "5MB"
        manager.restart(CONTEXT)
        assert shown(manager, "work_mem") == "5MB"

    def test_a_server_that_has_died_has_refused_nothing(self, manager: PostgreSQLManager) -> None:
        attach(manager, {"work_mem": "5MB"})
        manager.update_overrides(CONTEXT, {"work_mem": "6MB"})
        manager.stop_server()
        with pytest.raises(DatastoreDown):
            manager.apply_overrides(CONTEXT, {"work_mem": "6MB"})
        assert "work_mem = '6MB'" in overrides(manager)
        manager.restart(CONTEXT)
        assert shown(manager, "work_mem") == "6MB"


@pytest.mark.usefixtures("from_the_flavour")
class TestRestart:
    """What waits for a restart."""

    def test_no_restart_for_what_is_in_force_already(self, guest: Machine, manager: PostgreSQLManager) -> None:
        attach(manager, {"max_connections": "100", "shared_buffers": "51MB", "wal_level": "replica"})
        assert guest.reports == []

    def test_a_server_that_does_not_come_up_comes_up_as_before(self, manager: PostgreSQLManager) -> None:
        attach(manager, {"work_mem": "5MB"})
        # Only a start finds out.
        manager.update_overrides(CONTEXT, {"work_mem": "6MB", "shared_preload_libraries": "klingon"})
        with pytest.raises(InvalidValue, match="klingon"):
            manager.restart(CONTEXT)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert shown(manager, "work_mem") == "5MB"
        manager.restart(CONTEXT)
        assert shown(manager, "work_mem") == "5MB"


class TestRefused:
    """What never reaches the files, with the running server and the files as they were."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def attached(cls, guest: Machine) -> None:
        attach(guest.manager(), {"work_mem": "5MB"})

    @pytest.mark.parametrize(
        "values",
        [
            {"klingon": 1},
            {"max_connections": "many"},
            {"max_connections": 10**12},
            {"max_connections": "200 # and more"},
            {"timezone": "Mars/Olympus"},
            {"log_statement": "banana"},
            {"lc_time": "tlh"},
            {"server_version": "99"},
            {"data_directory": "/tmp"},
            {"port": 1},
            {"PORT": 1},
            {"hba_file": "/tmp/x"},
            {"archive_command": "rm -rf /"},
            {"restore_command": "rm -rf /"},
            {"recovery_target_time": "2001-01-01"},
            {"ssl_key_file": "/tmp/x"},
            {"ssl": False},
            {"default_transaction_read_only": True},
            {"superuser_reserved_connections": 0},
            {"include": "/etc/passwd"},
            {"include_dir": "/etc"},
            {"application_name": "x\nport = 1"},
            {"application_name": "nul\0"},
            {"application_name": "\ud800"},
            {"work_mem = 1\nport": 1},
            {"work_mem": None},
            {"work_mem": [1]},
            {"": 1},
            {"a b": 1},
            {"work_mem'": 1},
        ],
        ids=str,
    )
    def test_a_setting_that_cannot_be(self, manager: PostgreSQLManager, values: dict[str, Any]) -> None:
        before = overrides(manager)
        with pytest.raises(InvalidValue) as refused:
            manager.update_overrides(CONTEXT, {"maintenance_work_mem": "32MB", **values})
        str(refused.value).encode()
        assert overrides(manager) == before

    def test_nothing_of_it_has_happened(self, manager: PostgreSQLManager) -> None:
        manager.restart(CONTEXT)
        assert (shown(manager, "work_mem"), shown(manager, "maintenance_work_mem")) == ("5MB", "64MB")

    @pytest.mark.parametrize("values", [{"port": 1}, {"klingon": 1}, {"'; --": 1}], ids=str)
    def test_a_live_setting_that_cannot_be(self, manager: PostgreSQLManager, values: dict[str, Any]) -> None:
        with pytest.raises(InvalidValue):
            manager.apply_overrides(CONTEXT, values)


@pytest.mark.usefixtures("from_the_flavour")
class TestBase:
    """The configuration that comes with the flavour."""

    def test_it_is_replaced_without_touching_the_server(self, manager: PostgreSQLManager) -> None:
        manager.reset_configuration(CONTEXT, {"config_contents": FLAVOUR + "work_mem = 11MB\n"})
        assert shown(manager, "work_mem") == "4MB"
        manager.restart(CONTEXT)
        assert shown(manager, "work_mem") == "11MB"
        manager.reset_configuration(CONTEXT, {"config_contents": FLAVOUR})

    def test_a_new_flavour_starts_with_its_own_and_the_users_part_survives(self, manager: PostgreSQLManager) -> None:
        attach(manager, {"work_mem": "12MB"})
        manager.stop_db(CONTEXT)
        bigger = FLAVOUR.replace("shared_buffers = 51MB", "shared_buffers = 60MB")
        manager.start_db_with_conf_changes(CONTEXT, {"config_contents": bigger}, "15")
        assert (shown(manager, "shared_buffers"), shown(manager, "work_mem")) == ("60MB", "12MB")
        manager.start_db_with_conf_changes(CONTEXT, FLAVOUR)
        assert shown(manager, "shared_buffers") == "51MB"

    def test_what_a_superuser_altered_does_not_move_the_server(self, manager: PostgreSQLManager) -> None:
        for name, value in (("port", "1"), ("listen_addresses", "'nowhere'"), ("logging_collector", "on")):
            manager.connections.execute("Altering", f"ALTER SYSTEM SET {name} = {value}")
        manager.restart(CONTEXT)
        assert shown(manager, "logging_collector") == "off"
        manager.connections.execute("Resetting", "ALTER SYSTEM RESET ALL")
