"""TLS of a real server, seen by clients with and without certificates."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from guestagent_redis.manager import RedisManager

from guestagent.capabilities.configuration import AGENT
from guestagent.conformance.ports import blocked_port
from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.states import ServiceStatus
from guestagent.contract.tls import TlsResult
from guestagent.contract.users import User
from tests.functional.redis.machine import FLAVOUR, Machine
from tests.support.authority import Authority
from tests.support.machine import CONTEXT, PASSWORD, user
from tests.support.redis import INSTALLED

AT_ONCE = TlsResult(restart_required=False)


@pytest.fixture(scope="module", params=INSTALLED)
def datastore(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def client(guest: Machine, manager: RedisManager) -> Iterator[None]:
    """Every test begins without TLS and with an ordinary user."""
    guest.reports.clear()
    manager.create_user(CONTEXT, [user("client")])
    yield
    manager.ssl_action(CONTEXT, disable=1)
    manager.delete_user(CONTEXT, User("client"))


def test_tls_is_off_until_it_is_asked_for(guest: Machine, manager: RedisManager, authority: Authority) -> None:
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    assert guest.enters("client", PASSWORD)
    assert not guest.enters("client", PASSWORD, authority.trusting())


def test_basic_is_for_those_who_want_it(guest: Machine, manager: RedisManager, authority: Authority) -> None:
    container = authority.container("db-1")
    assert manager.ssl_action(CONTEXT, "basic", container, enable=1) == AT_ONCE
    shown = manager.ssl_show(CONTEXT)
    assert (shown["status"], shown["mode"]) == ("on", "basic")
    assert shown["certificate"]["cn"] == "db-1"
    assert shown["certificate"]["payload"] == container.certificate
    for _ in range(2):
        assert guest.enters("client", PASSWORD)
        assert guest.enters("client", PASSWORD, authority.trusting())
        manager.restart(CONTEXT)
    assert ServiceStatus.RESTART_REQUIRED not in guest.reports


def test_enforced_has_no_other_door(guest: Machine, manager: RedisManager, authority: Authority) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    for _ in range(2):
        assert not guest.enters("client", PASSWORD)
        assert guest.enters("client", PASSWORD, authority.trusting())
        manager.restart(CONTEXT)
    assert manager.service_status() is ServiceStatus.HEALTHY
    assert manager.configured_tls_mode() == "enforced"


def test_a_new_certificate_is_shown_at_once(guest: Machine, manager: RedisManager, authority: Authority) -> None:
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    pid = guest.processes.pid(manager.service())
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-2"), enable=1)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-2"
    result = manager.ssl_rollback(CONTEXT)
    assert (result.restart_required, result.status, result.mode) == (False, "on", "basic")
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
    assert guest.enters("client", PASSWORD)
    assert guest.processes.pid(manager.service()) == pid
    with pytest.raises(NotFound):
        manager.ssl_rollback(CONTEXT)


def test_mtls_asks_everybody_for_a_certificate(
    guest: Machine, manager: RedisManager, authority: Authority, tmp_path: Path
) -> None:
    manager.ssl_action(CONTEXT, "mtls", authority.container("db-1"), enable=1)
    with_certificate = authority.client(tmp_path)
    for _ in range(2):
        assert not guest.enters("client", PASSWORD)
        assert not guest.enters("client", PASSWORD, authority.trusting())
        assert guest.enters("client", PASSWORD, with_certificate)
        assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
        manager.restart(CONTEXT)
    assert manager.configured_tls_mode() == "mtls"
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    assert guest.enters("client", PASSWORD, authority.trusting())


def test_disabled_it_is_off_at_once(guest: Machine, manager: RedisManager, authority: Authority) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    assert manager.ssl_action(CONTEXT, disable=1) == AT_ONCE
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    for _ in range(2):
        assert guest.enters("client", PASSWORD)
        assert not guest.enters("client", PASSWORD, authority.trusting())
        manager.restart(CONTEXT)
    assert not list(manager.layout.tls_dir.iterdir())


def test_disabled_it_leaves_the_configuration_that_was_before(manager: RedisManager, authority: Authority) -> None:
    before = manager.configuration.read(AGENT)
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    manager.ssl_action(CONTEXT, disable=1)
    assert manager.configuration.read(AGENT) == before


def test_what_openssl_refuses_never_reaches_the_server(
    guest: Machine, manager: RedisManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    weak = authority.container("weak", rsa.generate_private_key(65537, 1024))
    with pytest.raises(InvalidValue, match="OpenSSL"):
        manager.ssl_action(CONTEXT, "enforced", weak, enable=1)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
    assert guest.enters("client", PASSWORD)
    manager.restart(CONTEXT)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"


def test_a_port_that_is_taken_leaves_everything_as_it_was(
    guest: Machine, manager: RedisManager, authority: Authority
) -> None:
    with blocked_port(guest.tls_port), pytest.raises(Exception, match="Enabling TLS failed"):
        manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    assert guest.enters("client", PASSWORD)
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    manager.restart(CONTEXT)
    assert guest.enters("client", PASSWORD)


def test_certificates_are_found_again_after_a_rebuild(
    guest: Machine, manager: RedisManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    manager.stop_db(CONTEXT)
    manager.configuration.write("agent", "")
    manager.guest.record.change(tls_mode=None)
    guest.conf.set_override("ssl_mode", "enforced")
    try:
        manager.rebuild(CONTEXT, "7.0", FLAVOUR, {})
    finally:
        guest.conf.clear_override("ssl_mode")
    assert not guest.enters("client", PASSWORD)
    assert guest.enters("client", PASSWORD, authority.trusting())
    assert manager.ssl_show(CONTEXT)["mode"] == "enforced"
