"""The user's configuration: what is refused, what applies at once, what waits, and the way back."""

from collections.abc import Iterator
from typing import Any

import pytest
from guestagent_mariadb.manager import MariaDBManager

from guestagent.contract.errors import InvalidValue
from guestagent.contract.states import ServiceStatus
from tests.functional.mariadb.machine import FLAVOUR, Machine
from tests.support.machine import CONTEXT


def variable(manager: MariaDBManager, name: str) -> Any:
    [(value,)] = manager.connections.fetch("Reading", f"SELECT @@GLOBAL.{name}")
    return value


def overrides(manager: MariaDBManager) -> str:
    return manager.configuration.read("overrides")


@pytest.fixture
def from_the_flavour(guest: Machine, manager: MariaDBManager) -> Iterator[None]:
    """The test begins with the flavour's configuration in force."""
    manager.update_overrides(CONTEXT, {}, remove=True)
    manager.restart(CONTEXT)
    guest.reports.clear()
    yield
    assert manager.answers()


def attach(manager: MariaDBManager, values: dict[str, Any]) -> None:
    """The two calls of the control plane."""
    manager.update_overrides(CONTEXT, values, remove=False)
    manager.apply_overrides(CONTEXT, values)


@pytest.mark.usefixtures("from_the_flavour")
class TestLive:
    """What the server takes while it runs."""

    @pytest.mark.parametrize(
        ("name", "given", "found"),
        [
            ("max_allowed_packet", "16M", 16 << 20),
            ("max-connections", "150", 150),
            ("long_query_time", 0.25, 0.25),
            ("long_query_time", "2.5", 2.5),
            ("autocommit", False, 0),
            ("local_infile", 1, 1),
            ("event_scheduler", "ON", "ON"),
            ("sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"),
            ("character_set_server", "latin1", "latin1"),
            ("init_connect", 'SET @a = "it\'s # 1; \\\\ here"', 'SET @a = "it\'s # 1; \\\\ here"'),
        ],
    )
    def test_every_kind_of_value(self, manager: MariaDBManager, name: str, given: object, found: object) -> None:
        variable_name = name.replace("-", "_")
        attach(manager, {name: given})
        assert variable(manager, variable_name) == found
        manager.restart(CONTEXT)
        assert variable(manager, variable_name) == found

    def test_the_agent_means_the_same_whatever_the_user_set(self, manager: MariaDBManager) -> None:
        attach(
            manager, {"sql_mode": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "old_passwords": 1, "max_statement_time": 0.001}
        )
        manager.restart(CONTEXT)
        assert manager.list_users(CONTEXT) == ([], None)
        assert variable(manager, "sql_mode") == "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"

    def test_what_only_a_running_server_refuses_does_not_wait_on_disk(self, manager: MariaDBManager) -> None:
        attach(manager, {"max_connections": 120})
        # The program alone does not look at what the name stands for.
        manager.update_overrides(CONTEXT, {"max_connections": 120, "performance_schema": True})
        wrong = {"default_storage_engine": "MyISAM", "max_connections": 121, "innodb_buffer_pool_size": 1 << 62}
        manager.update_overrides(CONTEXT, wrong)
        with pytest.raises(InvalidValue, match="innodb_buffer_pool_size"):
            manager.apply_overrides(CONTEXT, wrong)
        assert variable(manager, "max_connections") == 120
        manager.restart(CONTEXT)
        assert variable(manager, "max_connections") == 120
        assert variable(manager, "default_storage_engine") == "InnoDB"
        assert variable(manager, "performance_schema") == 1


@pytest.mark.usefixtures("from_the_flavour")
class TestRestart:
    """What waits for a restart."""

    def test_no_restart_for_what_is_in_force_already(self, guest: Machine, manager: MariaDBManager) -> None:
        attach(manager, {"performance_schema": "OFF", "max_digest_length": "1K", "lower_case_table_names": 0})
        assert guest.reports == []

    def test_a_server_that_does_not_come_up_comes_up_as_before(self, manager: MariaDBManager) -> None:
        attach(manager, {"max_connections": 170})
        # Right for a new data directory, and wrong for this one: only a start finds out.
        manager.update_overrides(CONTEXT, {"max_connections": 171, "innodb_page_size": "64K"})
        with pytest.raises(InvalidValue, match="innodb_page_size"):
            manager.restart(CONTEXT)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert variable(manager, "max_connections") == 170
        manager.restart(CONTEXT)
        assert variable(manager, "max_connections") == 170


class TestRefused:
    """What never reaches the files, with the running server and the files as they were."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def attached(cls, guest: Machine) -> None:
        attach(guest.manager(), {"max_connections": 180})

    @pytest.mark.parametrize(
        "values",
        [
            {"klingon": 1},
            {"max_connections": "many"},
            {"max_connections": 10**12},
            {"max_connections": "200 # and more"},
            {"sql_mode": "KLINGON"},
            {"character_set_server": "klingon"},
            {"event_scheduler": "banana"},
            {"general_log": "banana"},
            {"innodb_flush_method": "banana"},
            {"plugin_load_add": "klingon"},
            {"plugin-load-add": "auth_ed25519"},
            {"character_set_client": "utf8"},
            {"datadir": "/tmp"},
            {"port": 1},
            {"socket": "/tmp/x"},
            {"skip_grant_tables": 1},
            {"skip-grant-tables": 1},
            {"loose_skip_grant_tables": 1},
            {"init_file": "/tmp/x"},
            {"INIT-FILE": "/tmp/x"},
            {"user": "root"},
            {"ssl_cert": "/tmp/x"},
            {"max_conn": 200},
            {"help": True},
            {"version": True},
            {"init_connect": "SET @a = 1\n[mysqld]\nskip_grant_tables"},
            {"init_connect": "nul\0"},
            {"init_connect": "\ud800"},
            {"max_connections = 1\nskip_grant_tables": 1},
            {"max_connections": None},
            {"max_connections": [1]},
            {"": 1},
            {"!include /etc/passwd": 1},
            {"[client]": 1},
        ],
        ids=str,
    )
    def test_a_setting_that_cannot_be(self, manager: MariaDBManager, values: dict[str, Any]) -> None:
        before = overrides(manager)
        with pytest.raises(InvalidValue) as refused:
            manager.update_overrides(CONTEXT, {"sort_buffer_size": 65536, **values})
        str(refused.value).encode()
        assert overrides(manager) == before
        assert variable(manager, "max_connections") == 180
        assert variable(manager, "sort_buffer_size") == 1 << 20

    @pytest.mark.parametrize(
        "values",
        [{"datadir": "/tmp"}, {"init_file": "/tmp/x"}, {"klingon": 1}, {"timestamp": 1}, {"`; --": 1}],
        ids=str,
    )
    def test_a_live_setting_that_cannot_be(self, manager: MariaDBManager, values: dict[str, Any]) -> None:
        with pytest.raises(InvalidValue):
            manager.apply_overrides(CONTEXT, values)


@pytest.mark.usefixtures("from_the_flavour")
class TestBase:
    """The configuration that comes with the flavour."""

    def test_it_is_replaced_without_touching_the_server(self, manager: MariaDBManager) -> None:
        bigger = FLAVOUR.replace("max_connections = 100", "max_connections = 111")
        manager.reset_configuration(CONTEXT, {"config_contents": bigger})
        assert variable(manager, "max_connections") == 100
        manager.restart(CONTEXT)
        assert variable(manager, "max_connections") == 111
        manager.reset_configuration(CONTEXT, {"config_contents": FLAVOUR})

    def test_a_new_flavour_starts_with_its_own(self, manager: MariaDBManager) -> None:
        manager.stop_db(CONTEXT)
        bigger = FLAVOUR.replace("innodb_buffer_pool_size = 150M", "innodb_buffer_pool_size = 300M")
        manager.start_db_with_conf_changes(CONTEXT, {"config_contents": bigger}, "11.4")
        assert variable(manager, "innodb_buffer_pool_size") == 300 << 20
        manager.start_db_with_conf_changes(CONTEXT, FLAVOUR)
        assert variable(manager, "innodb_buffer_pool_size") == 150 << 20

    @pytest.mark.parametrize("line", ["innodb_page_size = 64K", "character_set_server = klingon"])
    def test_a_flavour_that_the_server_does_not_start_with_leaves_the_previous_one(
        self, manager: MariaDBManager, line: str
    ) -> None:
        manager.stop_db(CONTEXT)
        with pytest.raises(InvalidValue):
            manager.start_db_with_conf_changes(CONTEXT, f"{FLAVOUR}\n[mysqld]\nmax_connections = 99\n{line}\n")
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert variable(manager, "max_connections") == 100
