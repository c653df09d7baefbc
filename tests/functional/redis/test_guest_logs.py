"""The log of a real server: seen by administrators, published, and never switched."""

import pytest
from guestagent_redis.manager import RedisManager

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound
from tests.functional.redis.machine import Machine
from tests.support.machine import CONTEXT


def test_what_the_server_says_is_published(guest: Machine, manager: RedisManager) -> None:
    [log] = manager.guest_log_list(CONTEXT)
    assert (log.name, log.type, log.status) == ("server", "SYS", "Ready")
    manager.guest_log_action(CONTEXT, "server", publish=1)
    published = b"".join(path.read_bytes() for path in (guest.directory / "storage").rglob("log-*"))
    assert b"Ready to accept connections" in published
    manager.guest_log_action(CONTEXT, "server", discard=1)
    assert not list((guest.directory / "storage").rglob("log-*"))


def test_it_is_always_on_and_the_administrators(guest: Machine, manager: RedisManager) -> None:
    for switch in ({"enable": 1}, {"disable": 1}):
        with pytest.raises(InvalidValue, match="always on"):
            manager.guest_log_action(CONTEXT, "server", **switch)
    somebody = RequestContext()
    assert manager.guest_log_list(somebody) == []
    with pytest.raises(NotFound):
        manager.guest_log_action(somebody, "server", publish=1)
    guest.conf.set_override("guest_log_exposed_logs", ["server"], guest.datastore)
    try:
        assert [log.name for log in manager.guest_log_list(somebody)] == ["server"]
    finally:
        guest.conf.clear_override("guest_log_exposed_logs", guest.datastore)
