"""TLS of a real server, seen by clients: enabled, renewed, disabled and rolled back."""

import shutil
from pathlib import Path

import pytest
from guestagent_postgresql.manager import PostgreSQLManager
from pg8000.exceptions import DatabaseError

from guestagent.contract.errors import InvalidValue, NotFound
from guestagent.contract.tls import CertificateContainer
from tests.functional.postgresql.machine import FLAVOUR, Machine, machine, prepare
from tests.support.authority import Authority
from tests.support.machine import CONTEXT, PASSWORD, user

PLAIN_REFUSED = "pg_hba.conf rejects"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def without_tls(guest: Machine, manager: PostgreSQLManager) -> None:
    if manager.guest.record.current.tls_mode:
        manager.ssl_action(CONTEXT, disable=1)
    if manager.get_user(CONTEXT, "client") is None:
        manager.create_user(CONTEXT, [user("client")])


def enable(manager: PostgreSQLManager, authority: Authority, mode: str, name: str = "db.example.com") -> None:
    result = manager.ssl_action(CONTEXT, mode=mode, container=authority.container(name), enable=1)
    # The server loads everything while it runs.
    assert not result.restart_required


def test_clients_may_use_it(guest: Machine, manager: PostgreSQLManager, authority: Authority) -> None:
    enable(manager, authority, "basic")
    assert guest.ask("client", PASSWORD, "SELECT 1") == [[1]]
    assert guest.ask(
        "client", PASSWORD, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", tls=authority.trusting()
    ) == [[True]]
    found = manager.ssl_show(CONTEXT)
    assert (found["status"], found["mode"], found["certificate"]["cn"]) == ("on", "basic", "db.example.com")
    manager.restart(CONTEXT)
    assert guest.ask("client", PASSWORD, "SELECT 1", tls=authority.trusting()) == [[1]]


def test_clients_must_use_it(guest: Machine, manager: PostgreSQLManager, authority: Authority) -> None:
    enable(manager, authority, "enforced")
    for _ in range(2):
        with pytest.raises(DatabaseError, match=PLAIN_REFUSED):
            guest.log_in("client", PASSWORD)
        assert guest.ask("client", PASSWORD, "SELECT 1", tls=authority.trusting()) == [[1]]
        assert manager.answers()
        manager.restart(CONTEXT)


def test_clients_must_show_a_certificate(
    guest: Machine, manager: PostgreSQLManager, authority: Authority, tmp_path: Path
) -> None:
    enable(manager, authority, "mtls")
    for _ in range(2):
        with pytest.raises(DatabaseError, match=PLAIN_REFUSED):
            guest.log_in("client", PASSWORD)
        with pytest.raises(DatabaseError, match="certificate"):
            guest.log_in("client", PASSWORD, tls=authority.trusting())
        with pytest.raises(DatabaseError, match="password authentication failed"):
            guest.log_in("client", "wrong", tls=authority.client(tmp_path))
        assert guest.ask("client", PASSWORD, "SELECT 1", tls=authority.client(tmp_path)) == [[1]]
        manager.restart(CONTEXT)
    manager.ssl_action(CONTEXT, disable=1)
    assert guest.ask("client", PASSWORD, "SELECT 1") == [[1]]


def test_a_new_certificate_is_loaded_at_once(manager: PostgreSQLManager, authority: Authority) -> None:
    for name in ("first.example.com", "second.example.com"):
        enable(manager, authority, "basic", name)
        assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == name


def test_disabling_and_rolling_back(guest: Machine, manager: PostgreSQLManager, authority: Authority) -> None:
    enable(manager, authority, "enforced", "kept.example.com")
    assert not manager.ssl_action(CONTEXT, disable=1).restart_required
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    assert guest.ask("client", PASSWORD, "SELECT 1") == [[1]]
    back = manager.ssl_rollback(CONTEXT)
    assert (back.status, back.mode, back.restart_required) == ("on", "enforced", False)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "kept.example.com"
    with pytest.raises(DatabaseError, match=PLAIN_REFUSED):
        guest.log_in("client", PASSWORD)
    with pytest.raises(NotFound):
        manager.ssl_rollback(CONTEXT)


def test_what_cannot_be_used_changes_nothing(guest: Machine, manager: PostgreSQLManager, authority: Authority) -> None:
    enable(manager, authority, "basic", "stays.example.com")
    one, other = authority.container("one"), authority.container("other")
    for container, mode in (
        (CertificateContainer(one.private_key, other.certificate, one.ca), "enforced"),
        (CertificateContainer(one.private_key, one.certificate), "mtls"),
        (one, "klingon"),
    ):
        with pytest.raises(InvalidValue):
            manager.ssl_action(CONTEXT, mode=mode, container=container, enable=1)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "stays.example.com"
    assert guest.ask("client", PASSWORD, "SELECT 1") == [[1]]


def test_a_server_that_is_down_uses_it_from_its_start_on(
    guest: Machine, manager: PostgreSQLManager, authority: Authority
) -> None:
    manager.stop_db(CONTEXT)
    assert manager.ssl_action(
        CONTEXT, mode="enforced", container=authority.container("later"), enable=1
    ).restart_required
    manager.restart(CONTEXT)
    assert manager.ssl_show(CONTEXT)["certificate"]["cn"] == "later"
    with pytest.raises(DatabaseError, match=PLAIN_REFUSED):
        guest.log_in("client", PASSWORD)


def test_a_rebuilt_machine_uses_it_again(authority: Authority, tmp_path: Path) -> None:
    with machine() as made:
        prepare(made.manager(), users=[user("client")])
        enable(made.manager(), authority, "mtls")
        made.manager().stop_db(CONTEXT)
        for path in (made.state_dir, Path(made.conf.postgresql.config_dir)):
            shutil.rmtree(path)
        made.conf.set_override("ssl_mode", "mtls")
        manager = made.manager()
        manager.rebuild(CONTEXT, "15", FLAVOUR, {})
        assert manager.ssl_show(CONTEXT)["mode"] == "mtls"
        with pytest.raises(DatabaseError, match=PLAIN_REFUSED):
            made.log_in("client", PASSWORD)
        assert made.ask("client", PASSWORD, "SELECT 1", tls=authority.client(tmp_path)) == [[1]]
