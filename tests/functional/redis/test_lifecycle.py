"""Starts, stops and statuses of a real server, also when the agent or the server dies on the way."""

import contextlib
from collections.abc import Iterator

import pytest
from guestagent_redis.manager import RedisManager
from guestagent_redis.resp import Refused, Word

from guestagent.contract.states import ServiceStatus
from guestagent.contract.users import User
from tests.functional.redis.machine import Machine
from tests.support.machine import CONTEXT, PASSWORD, user


@pytest.fixture(autouse=True, scope="module")
def keeper(guest: Machine) -> None:
    guest.manager().create_user(CONTEXT, [user("keeper")])


@pytest.fixture(autouse=True)
def running(guest: Machine, manager: RedisManager) -> Iterator[None]:
    """Every test begins and ends with a server that runs and takes writes."""
    guest.reports.clear()
    yield
    manager.restart(CONTEXT)
    manager.make_read_only(CONTEXT, False)


def test_the_directories_of_a_tmpfs_are_made_again_after_a_reboot(guest: Machine, manager: RedisManager) -> None:
    manager.stop_server()
    for left in manager.layout.socket.parent.iterdir():
        left.unlink()
    manager.layout.socket.parent.rmdir()
    guest.manager().ensure_running()
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_users_that_an_agent_began_to_write_are_gone_when_the_next_one_starts_itself_or_the_server(
    guest: Machine, manager: RedisManager
) -> None:
    begun = guest.volume / ".unfinished-of-an-agent"
    for start in (guest.manager().tidy, lambda: manager.restart(CONTEXT)):
        begun.write_text("user keeper on #00 ~* +@all\n")
        start()
        assert not begun.exists()


def test_connections_outlive_a_restart_of_the_server(guest: Machine, manager: RedisManager) -> None:
    manager.list_users(CONTEXT)
    guest.manager().restart(CONTEXT)
    assert manager.get_user(CONTEXT, "keeper") is not None
    assert manager.service_status() is ServiceStatus.HEALTHY


def test_an_agent_at_work_stays_in_when_users_hold_every_connection(guest: Machine, manager: RedisManager) -> None:
    manager.apply_overrides(CONTEXT, {"maxclients": 10})
    assert manager.service_status() is ServiceStatus.HEALTHY
    with contextlib.ExitStack() as crowd:
        with contextlib.suppress(Refused, OSError):
            while True:
                crowd.enter_context(guest.client("keeper", PASSWORD))
        assert manager.service_status() is ServiceStatus.HEALTHY
        manager.apply_overrides(CONTEXT, {"maxclients": 100})
        assert guest.enters("keeper", PASSWORD)


def test_a_server_that_is_full_refuses_writes_and_is_healthy(guest: Machine, manager: RedisManager) -> None:
    manager.apply_overrides(CONTEXT, {"maxmemory": "1b"})
    with pytest.raises(Refused, match="OOM"):
        guest.ask("keeper", PASSWORD, "SET", "more", "1")
    assert manager.service_status() is ServiceStatus.HEALTHY
    manager.create_user(CONTEXT, [user("meanwhile")])
    manager.delete_user(CONTEXT, User("meanwhile"))
    manager.apply_overrides(CONTEXT, {"maxmemory": "192mb"})


class TestReadOnly:
    """Writes, refused to everybody and accepted again."""

    def writes(self, guest: Machine, name: str = "keeper", password: str = PASSWORD) -> bool:
        commands = [("SET", "k", "v"), ("FLUSHALL",), ("EVAL", "return redis.call('SET', 'k', 'v')", 0)]
        refused = [self.refused(guest, name, password, *command) for command in commands]
        assert all(refused) == any(refused)
        return not any(refused)

    def refused(self, guest: Machine, name: str, password: str, *command: Word) -> bool:
        try:
            guest.ask(name, password, *command)
        except Refused as refused:
            if refused.code != "NOREPLICAS":
                raise
            return True
        return False

    def test_it_holds_over_restarts_until_it_is_lifted(self, guest: Machine, manager: RedisManager) -> None:
        assert self.writes(guest)
        root = manager.enable_root(CONTEXT).password or ""
        for _ in range(2):
            manager.make_read_only(CONTEXT, True)
        assert not self.writes(guest)
        assert not self.writes(guest, "", root)
        assert manager.guest.record.current.read_only
        guest.manager().restart(CONTEXT)
        assert not self.writes(guest)
        guest.manager().make_read_only(CONTEXT, False)
        assert self.writes(guest)
        guest.manager().restart(CONTEXT)
        assert self.writes(guest)
        manager.disable_root(CONTEXT)

    def test_a_setting_of_a_user_does_not_lift_it(self, guest: Machine, manager: RedisManager) -> None:
        manager.make_read_only(CONTEXT, True)
        for values in ({"min-replicas-to-write": 0}, {"min-replicas-max-lag": 7}):
            manager.update_overrides(CONTEXT, values)
            manager.apply_overrides(CONTEXT, values)
            assert not self.writes(guest)
        manager.make_read_only(CONTEXT, False)
        assert manager.client.settings("min-replicas-max-lag") == {"min-replicas-max-lag": "7"}
        assert self.writes(guest)
        manager.update_overrides(CONTEXT, {}, remove=True)
