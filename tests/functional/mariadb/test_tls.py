"""TLS of a real server, seen by clients with and without certificates."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pymysql
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from guestagent_mariadb.manager import MariaDBManager

from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.states import ServiceStatus
from guestagent.contract.tls import TlsResult
from guestagent.contract.users import User
from tests.functional.mariadb.machine import FLAVOUR, Machine
from tests.support.authority import Authority
from tests.support.machine import CONTEXT, PASSWORD, user

KEPT_OUT = (1045, 3159, 2003, 2026)
"""Access denied, "insecure transport", and the client's own words for a handshake that failed."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def client(guest: Machine, manager: MariaDBManager) -> Iterator[None]:
    """Every test begins without TLS and with an ordinary user."""
    guest.reports.clear()
    manager.create_user(CONTEXT, [user("client")])
    yield
    manager.ssl_action(CONTEXT, disable=1)
    manager.restart(CONTEXT)
    manager.delete_user(CONTEXT, User("client"))


def enters(guest: Machine, name: str = "client", password: str = PASSWORD, tls: ssl.SSLContext | None = None) -> bool:
    """Whether a client gets in, over TLS as the context says or without."""
    options = {"ssl_disabled": True} if tls is None else {"ssl": tls}
    try:
        return guest.ask(name, password, "SELECT 1", **options) == ((1,),)
    except pymysql.err.OperationalError as error:
        if error.args[0] not in KEPT_OUT:
            raise
        return False


def cipher_of(guest: Machine, authority: Authority) -> str:
    [(_, cipher)] = guest.ask("client", PASSWORD, "SHOW STATUS LIKE 'Ssl_cipher'", ssl=authority.trusting())
    return str(cipher)


def test_basic_is_for_those_who_want_it(guest: Machine, manager: MariaDBManager, authority: Authority) -> None:
    container = authority.container("db-1")
    assert manager.ssl_action(CONTEXT, "basic", container, enable=1) == TlsResult(restart_required=True)
    assert guest.reports == [ServiceStatus.RESTART_REQUIRED]
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    manager.restart(CONTEXT)

    shown = manager.ssl_show(CONTEXT)
    assert (shown["status"], shown["mode"]) == ("on", "basic")
    assert shown["certificate"]["cn"] == "db-1"
    assert shown["certificate"]["payload"] == container.certificate
    assert enters(guest)
    assert cipher_of(guest, authority).startswith("TLS_")


def test_a_new_certificate_needs_no_restart(guest: Machine, manager: MariaDBManager, authority: Authority) -> None:
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    manager.restart(CONTEXT)
    pid = guest.processes.pid(manager.service())
    result = manager.ssl_action(CONTEXT, "enforced", authority.container("db-2"), enable=1)
    assert result == TlsResult(restart_required=False)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-2"
    assert manager.ssl_show(CONTEXT)["mode"] == "enforced"
    assert not enters(guest)
    assert enters(guest, tls=authority.trusting())
    assert guest.processes.pid(manager.service()) == pid


def test_enforced_keeps_everybody_out_who_does_not(
    guest: Machine, manager: MariaDBManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    assert enters(guest)  # nobody is locked out before the server can do it
    manager.restart(CONTEXT)
    manager.create_user(CONTEXT, [user("later")])
    root = manager.enable_root(CONTEXT).password or ""
    for name, password in (("client", PASSWORD), ("later", PASSWORD), ("root", root)):
        assert not enters(guest, name, password)
        assert enters(guest, name, password, tls=authority.trusting())
    manager.restart(CONTEXT)
    assert not enters(guest)
    assert manager.service_status() is ServiceStatus.HEALTHY
    manager.delete_user(CONTEXT, User("later"))


def test_mtls_asks_everybody_for_a_certificate_and_gives_back_what_was(
    guest: Machine, manager: MariaDBManager, authority: Authority, tmp_path: Path
) -> None:
    manager.create_user(CONTEXT, [user("careful")])
    manager.connections.execute("Being careful", "ALTER USER careful@'%%' REQUIRE SSL")
    manager.connections.execute("Being picky", "CREATE OR REPLACE USER picky@'%%' REQUIRE SUBJECT '/CN=somebody'")
    manager.ssl_action(CONTEXT, "mtls", authority.container("db-1"), enable=1)
    assert enters(guest)
    manager.restart(CONTEXT)

    manager.create_user(CONTEXT, [user("later")])
    root = manager.enable_root(CONTEXT).password or ""
    with_certificate = authority.client(tmp_path)
    for name, password in (("client", PASSWORD), ("careful", PASSWORD), ("later", PASSWORD), ("root", root)):
        assert not enters(guest, name, password, tls=authority.trusting())
        assert enters(guest, name, password, tls=with_certificate)
    guest.manager().restart(CONTEXT)

    assert manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1).restart_required is False
    for name in ("client", "later"):
        assert enters(guest, name)
    assert not enters(guest, "careful")
    assert enters(guest, "careful", tls=authority.trusting())
    [(requirement,)] = manager.connections.fetch("Looking", "SELECT ssl_type FROM mysql.user WHERE User = 'picky'")
    assert requirement == "SPECIFIED"
    for name in ("careful", "later", "picky"):
        manager.delete_user(CONTEXT, User(name))


def test_disabled_it_is_off_after_the_restart(guest: Machine, manager: MariaDBManager, authority: Authority) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    manager.restart(CONTEXT)
    assert manager.ssl_action(CONTEXT, disable=1) == TlsResult(restart_required=True)
    assert enters(guest)
    assert manager.ssl_show(CONTEXT)["status"] == "on"
    manager.restart(CONTEXT)
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    assert enters(guest)
    assert not list(manager.layout.tls_dir.iterdir())


def test_a_rollback_puts_the_previous_certificate_in_force(
    guest: Machine, manager: MariaDBManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    manager.restart(CONTEXT)
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-2"), enable=1)
    result = manager.ssl_rollback(CONTEXT)
    assert (result.restart_required, result.status, result.mode) == (False, "on", "basic")
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
    assert enters(guest)
    with pytest.raises(NotFound):
        manager.ssl_rollback(CONTEXT)


def test_what_openssl_refuses_never_reaches_the_server(
    guest: Machine, manager: MariaDBManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
    manager.restart(CONTEXT)
    weak = authority.container("weak", rsa.generate_private_key(65537, 1024))
    mixed = authority.container("mixed")
    mixed.private_key = weak.private_key
    for container in (weak, mixed):
        with pytest.raises(InvalidValue):
            manager.ssl_action(CONTEXT, "enforced", container, enable=1)
        assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
        assert enters(guest)
    manager.restart(CONTEXT)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"


def test_only_the_operators_versions_are_spoken(guest: Machine, manager: MariaDBManager, authority: Authority) -> None:
    guest.conf.set_override("tls_versions", ["TLSv1.3"], "mariadb")
    try:
        manager.ssl_action(CONTEXT, "basic", authority.container("db-1"), enable=1)
        manager.restart(CONTEXT)
        older = authority.trusting()
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        assert not enters(guest, tls=older)
        assert enters(guest, tls=authority.trusting())
    finally:
        guest.conf.clear_override("tls_versions", "mariadb")


def test_a_rebuild_finds_the_certificates_on_the_volume(
    guest: Machine, manager: MariaDBManager, authority: Authority
) -> None:
    manager.ssl_action(CONTEXT, "enforced", authority.container("db-1"), enable=1)
    manager.stop_db(CONTEXT)
    for left in (*guest.state_dir.iterdir(), *Path(guest.conf.mariadb.config_dir).glob("*.cnf")):
        left.unlink()
    guest.conf.set_override("ssl_mode", "enforced")
    try:
        rebuilt = guest.manager()
        rebuilt.rebuild(CONTEXT, "11.4", FLAVOUR, {})
        assert rebuilt.ssl_show(CONTEXT)["certificate"]["cn"] == "db-1"
        assert not enters(guest)
        assert enters(guest, tls=authority.trusting())
        manager.guest.record.change(**msgspec.structs.asdict(rebuilt.guest.record.current))
    finally:
        guest.conf.clear_override("ssl_mode")
