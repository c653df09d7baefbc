"""The package as a whole: what importing it costs, what it supports, and its two names."""

import pytest
from guestagent_redis import options, server_options
from guestagent_redis.manager import RedisManager
from oslo_config import cfg

from guestagent import contract
from tests.support.datastore_package import (
    assert_halves_pass_on,
    assert_halves_share_no_name,
    imported_by,
    missing_calls,
)

NAMES = ("redis", "valkey")


def test_nothing_costly_is_imported_before_it_is_needed() -> None:
    found = imported_by("import guestagent_redis.manager")
    assert "guestagent_redis.manager" in found
    assert not found & {"redis", "cryptography", "psutil", "secrets", "shlex", "guestagent_redis.resp"}


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_groups_of_its_own(name: str) -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf, name)
        server_options.register(conf)
    conf([])
    assert conf[name].server_program == f"/usr/bin/{name}-server"
    assert conf[f"{name}_server"].tcp_ports == ["6379", "6380"]
    [other] = set(NAMES) - {name}
    assert other not in conf
    assert [group for group, _ in options.list_opts()] == list(NAMES)


def test_everything_else_is_supported() -> None:
    databases = {call.name for call in contract.CALLS if call.capability == "databases"}
    grants = {"grant_access", "revoke_access", "list_access"}
    archive = {"archive_logs", "recovery_window"}
    missing = missing_calls(RedisManager, but="replication")
    assert missing == databases | grants | archive | {"get_root_password", "update_guest"}


def test_the_halves_fit_together() -> None:
    assert_halves_share_no_name(RedisManager)
    assert_halves_pass_on(RedisManager)
