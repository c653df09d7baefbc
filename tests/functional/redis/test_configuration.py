"""The user's configuration: what is refused, what applies at once, what waits, and the way back."""

from collections.abc import Iterator
from typing import Any

import pytest
from guestagent_redis.manager import RedisManager

from guestagent.contract.errors import InvalidValue
from guestagent.contract.states import ServiceStatus
from tests.functional.redis.machine import FLAVOUR, Machine
from tests.support.machine import CONTEXT
from tests.support.redis import INSTALLED


@pytest.fixture(scope="module", params=INSTALLED)
def datastore(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def setting(manager: RedisManager, name: str) -> str:
    return manager.client.settings(name)[name]


def overrides(manager: RedisManager) -> str:
    return manager.configuration.read("overrides")


def tear_the_log(manager: RedisManager) -> None:
    """What a power cut does to the end of a log of changes."""
    [torn] = manager.layout.append_manifest.parent.glob("*.incr.aof")
    with torn.open("ab") as stream:
        stream.write(b"*3\r\n$3\r\nSET\r\n")


@pytest.fixture
def from_the_flavour(guest: Machine, manager: RedisManager) -> Iterator[None]:
    """The test begins with the flavour's configuration in force."""
    manager.update_overrides(CONTEXT, {}, remove=True)
    manager.restart(CONTEXT)
    guest.reports.clear()
    yield
    assert manager.answers()


def attach(manager: RedisManager, values: dict[str, Any]) -> None:
    """The two calls of the control plane."""
    manager.update_overrides(CONTEXT, values, remove=False)
    manager.apply_overrides(CONTEXT, values)


@pytest.mark.usefixtures("from_the_flavour")
class TestLive:
    """What the server takes while it runs."""

    def test_every_kind_of_value(self, manager: RedisManager) -> None:
        given = {
            "maxmemory": "100mb",
            "Hz": 20,
            "activerehashing": False,
            "maxmemory-policy": "allkeys-lru",
            "save": "60 1000",
            "client-output-buffer-limit": "pubsub 64mb 16mb 90",
            "notify-keyspace-events": "KEA",
            "proc-title-template": 'a "quoted" \\ {title}',
            "slowlog-log-slower-than": -1,
        }
        found = {
            **{name.lower(): str(value) for name, value in given.items()},
            "maxmemory": str(100 << 20),
            "activerehashing": "no",
            "notify-keyspace-events": "AKE",
        }
        del found["client-output-buffer-limit"]
        attach(manager, given)
        for _ in range(2):
            assert manager.client.settings(*found) == found
            assert f"pubsub {64 << 20} {16 << 20} 90" in setting(manager, "client-output-buffer-limit")
            manager.restart(CONTEXT)


@pytest.mark.usefixtures("from_the_flavour")
class TestRestart:
    """What waits for a restart."""

    def test_no_restart_for_what_is_in_force_already(self, guest: Machine, manager: RedisManager) -> None:
        attach(manager, {"databases": 16, "io-threads": "1", "always-show-logo": "NO"})
        assert guest.reports == []

    def test_a_server_that_does_not_come_up_comes_up_as_before(self, manager: RedisManager) -> None:
        attach(manager, {"maxclients": 170, "appendonly": True})
        manager.stop_db(CONTEXT)
        tear_the_log(manager)
        # Its program takes it, and only a start finds out that there is a torn log.
        manager.update_overrides(CONTEXT, {"maxclients": 171, "appendonly": True, "aof-load-truncated": False})
        with pytest.raises(InvalidValue, match=r"previous one.*Unexpected end of file"):
            manager.restart(CONTEXT)
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert setting(manager, "maxclients") == "170"
        manager.restart(CONTEXT)
        assert setting(manager, "maxclients") == "170"


class TestRefused:
    """What never reaches the files, with the running server and the files as they were."""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def attached(cls, guest: Machine) -> None:
        attach(guest.manager(), {"maxclients": 180})

    @pytest.mark.parametrize(
        "values",
        [
            {"klingon": 1},
            {"maxclients": "many"},
            {"maxclients": -1},
            {"maxclients": '200"'},
            {"maxmemory-policy": "banana"},
            {"appendonly": "maybe"},
            {"save": "60"},
            {"hz": "10\nrename-command CONFIG x"},
            {"hz": "nul\0"},
            {"hz": "\ud800"},
            {"hz 10\nrequirepass x": 1},
            {"hz": None},
            {"hz": [1]},
            {"": 1},
            {"#": 1},
            {"include": "/etc/passwd"},
            {"INCLUDE": "/etc/passwd"},
            {"requirepass": "x"},
            {"user": "spy on nopass ~* +@all"},
            {"aclfile": "/tmp/x"},
            {"loadmodule": "/tmp/x.so"},
            {"rename-command": "CONFIG x"},
            {"dir": "/tmp"},
            {"dbfilename": "x"},
            {"port": 1},
            {"bind": "*"},
            {"tls-port": 1},
            {"tls-cert-file": "/tmp/x"},
            {"unixsocket": "/tmp/x"},
            {"unixsocketperm": 777},
            {"protected-mode": False},
            {"enable-debug-command": True},
            {"replicaof": "203.0.113.1 6379"},
            {"logfile": "/tmp/x"},
            {"daemonize": True},
        ],
        ids=str,
    )
    def test_a_setting_that_cannot_be(self, manager: RedisManager, values: dict[str, Any]) -> None:
        before = overrides(manager)
        for change in (manager.update_overrides, manager.apply_overrides):
            with pytest.raises(InvalidValue) as refused:
                change(CONTEXT, {"hz": 20, **values})
            str(refused.value).encode()
        assert overrides(manager) == before
        assert manager.client.settings("maxclients", "hz") == {"maxclients": "180", "hz": "10"}


@pytest.mark.usefixtures("from_the_flavour")
class TestBase:
    """The base configuration, which comes with a flavour."""

    def test_it_is_replaced_without_touching_the_server(self, manager: RedisManager) -> None:
        manager.reset_configuration(CONTEXT, {"config_contents": "maxclients 90\n"})
        assert setting(manager, "maxclients") == "100"
        manager.reset_configuration(CONTEXT, {"config_contents": FLAVOUR})

    def test_a_larger_flavour_is_in_force_after_the_start(self, guest: Machine, manager: RedisManager) -> None:
        manager.stop_db(CONTEXT)
        manager.start_db_with_conf_changes(CONTEXT, {"config_contents": FLAVOUR.replace("192mb", "300mb")}, "7.0")
        assert setting(manager, "maxmemory") == str(300 << 20)
        assert guest.reports[-1] is ServiceStatus.HEALTHY

    def test_a_flavour_that_keeps_the_server_down_is_taken_back(self, manager: RedisManager) -> None:
        attach(manager, {"appendonly": True})
        manager.stop_db(CONTEXT)
        tear_the_log(manager)
        with pytest.raises(InvalidValue, match="Unexpected end of file"):
            manager.start_db_with_conf_changes(CONTEXT, f"{FLAVOUR}\naof-load-truncated no\n")
        assert manager.service_status() is ServiceStatus.HEALTHY
        assert setting(manager, "aof-load-truncated") == "yes"
