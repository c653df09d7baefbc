"""TLS: what is checked before anything is written, and what is in force after each request and failure."""

import datetime
import json
import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from guestagent.capabilities.tls import ServerTls, TlsFiles, certificate_details
from guestagent.conformance.certificates import Authority
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreError, GuestAgentError, InvalidValue, NotFound, SystemFailure
from guestagent.contract.states import ServiceStatus
from guestagent.contract.tls import CertificateContainer
from guestagent.guest import Guest
from tests.unit.capabilities.conftest import MakeGuest
from tests.unit.storage.full_disk import full_disk

CONTEXT = RequestContext({"request_id": "req-1"})


class Serving(ServerTls):
    """A server that reads its certificate when it is told to, and can refuse it."""

    def __init__(self, guest: Guest, directory: Path) -> None:
        super().__init__(guest)
        self.directory = directory
        self.mode: str | None = None
        self.shown: str | None = None
        self.refuses = False
        self.fails_late = False
        self.needs_restart = False

    def tls_files(self) -> TlsFiles:
        return TlsFiles(self.directory)

    def enable_tls(self, mode: str) -> bool:
        self._refuse()
        self.mode, self.shown = mode, self.tls_files().certificate.read_text()
        assert self.tls_files().private_key.exists()
        if self.fails_late:
            self.fails_late = False
            raise DatastoreError(subject="Changing how users log in", problem="the server went away")
        return self.needs_restart

    def disable_tls(self) -> bool:
        self._refuse()
        self.mode = self.shown = None
        return self.needs_restart

    def certificate_in_force(self) -> str | None:
        return self.shown

    def _refuse(self) -> None:
        if self.refuses:
            raise DatastoreError(subject="Loading the certificate", problem="the server refuses it")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "tls"


@pytest.fixture
def manager(make_guest: MakeGuest, directory: Path) -> Serving:
    return Serving(make_guest(), directory)


@pytest.fixture
def issue(tmp_path: Path) -> Callable[..., CertificateContainer]:
    """Makes what the control plane takes from its key manager."""
    authority = Authority(tmp_path)

    def make(*hosts: str, with_ca: bool = True) -> CertificateContainer:
        certificate, key = authority.issue(*(hosts or ("db.example.com",)))
        ca = authority.file.read_text() if with_ca else ""
        return CertificateContainer(private_key=key.read_text(), certificate=certificate.read_text(), ca=ca)

    return make


def on_disk(directory: Path) -> dict[str, str]:
    """The files of the server's directory, by name."""
    return {path.name: path.read_text() for path in directory.glob("*")} if directory.exists() else {}


def files_of(container: CertificateContainer) -> dict[str, str]:
    files = {"server-key.pem": container.private_key, "server-cert.pem": container.certificate}
    return {**files, "ca.pem": container.ca} if container.ca else files


def situation(manager: Serving) -> tuple[Any, ...]:
    """Everything that a request can change."""
    previous = manager.guest.state_dir / "tls-previous.json"
    kept = json.loads(previous.read_text()) if previous.exists() else None
    return on_disk(manager.directory), manager.mode, manager.shown, manager.guest.record.current.tls_mode, kept


def test_a_server_without_tls_says_off(manager: Serving) -> None:
    assert manager.ssl_show(CONTEXT) == {"status": "off"}


@pytest.mark.parametrize("mode", ["basic", "enforced", "mtls"])
def test_enabling_writes_the_files_and_tells_the_server(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer], mode: str
) -> None:
    container = issue()
    result = manager.ssl_action(CONTEXT, mode, container, 1, None)
    assert msgspec.to_builtins(result) == {"restart_required": False}
    assert on_disk(directory) == files_of(container)
    assert manager.mode == mode
    assert manager.guest.record.current.tls_mode == mode


def test_what_is_shown_has_the_keys_of_troves_api(manager: Serving, issue: Callable[..., CertificateContainer]) -> None:
    container = issue("db.example.com", "192.0.2.1", "2001:db8::1")
    manager.ssl_action(CONTEXT, "enforced", container, True, None)
    shown = manager.ssl_show(CONTEXT)
    expires = shown["certificate"].pop("expire_at")
    assert shown == {
        "status": "on",
        "mode": "enforced",
        "certificate": {
            "cn": "db.example.com",
            "san": ["DNS:db.example.com", "IP Address:192.0.2.1", "IP Address:2001:db8::1"],
            "payload": container.certificate,
        },
    }
    assert len(expires) == len("2027-01-31T00:00:00.000000")
    parsed = x509.load_pem_x509_certificate(container.certificate.encode())
    assert datetime.datetime.fromisoformat(expires + "+00:00") == parsed.not_valid_after_utc
    json.dumps(shown)


def test_a_certificate_that_the_server_has_from_elsewhere_is_shown_without_a_mode(
    manager: Serving, issue: Callable[..., CertificateContainer]
) -> None:
    manager.shown = issue().certificate
    shown = manager.ssl_show(CONTEXT)
    assert shown["status"] == "on"
    assert "mode" not in shown


def test_key_and_certificates_are_for_their_reader_alone(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    kept = manager.guest.state_dir / "tls-previous.json"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*directory.iterdir(), kept)} == {0o600}


def test_a_container_without_ca_removes_the_ca_of_the_one_before(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    without = issue(with_ca=False)
    manager.ssl_action(CONTEXT, "basic", without, 1, None)
    assert on_disk(directory) == files_of(without)


def test_disabling_removes_the_files(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    manager.ssl_action(CONTEXT, None, None, None, 1)
    assert on_disk(directory) == {}
    assert manager.ssl_show(CONTEXT) == {"status": "off"}
    assert manager.guest.record.current.tls_mode is None


@pytest.mark.parametrize("flags", [(None, None), (0, 0), (False, None), (1, 1), (True, 1)])
def test_a_request_says_either_enable_or_disable(
    manager: Serving, issue: Callable[..., CertificateContainer], flags: tuple[int | None, int | None]
) -> None:
    with pytest.raises(InvalidValue, match="either enable or disable"):
        manager.ssl_action(CONTEXT, "basic", issue(), *flags)
    assert manager.ssl_show(CONTEXT) == {"status": "off"}


def pem(key: Any, password: bytes | None = None) -> str:
    encryption: Any = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


def spoilt(container: CertificateContainer, **parts: str) -> CertificateContainer:
    whole = {"private_key": container.private_key, "certificate": container.certificate, "ca": container.ca}
    return CertificateContainer(**{**whole, **parts})


BAD_CONTAINERS: dict[str, tuple[Callable[[CertificateContainer], CertificateContainer], str]] = {
    "another key": (
        lambda good: spoilt(good, private_key=pem(ec.generate_private_key(ec.SECP256R1()))),
        "belongs to another",
    ),
    "an encrypted key": (
        lambda good: spoilt(good, private_key=pem(ec.generate_private_key(ec.SECP256R1()), b"pass")),
        "The private key",
    ),
    "no key": (lambda good: spoilt(good, private_key=""), "The private key"),
    "a certificate as key": (lambda good: spoilt(good, private_key=good.certificate), "The private key"),
    "a key as certificate": (lambda good: spoilt(good, certificate=good.private_key), "The certificate"),
    "no certificate": (lambda good: spoilt(good, certificate=""), "The certificate"),
    "half a certificate": (lambda good: spoilt(good, certificate=good.certificate[:200]), "The certificate"),
    "a broken chain": (lambda good: spoilt(good, ca=good.ca + "-----BEGIN CERTIFICATE-----\nx\n"), "The CA"),
    "a key beside the certificate": (
        lambda good: spoilt(good, certificate=good.certificate + good.private_key),
        "The certificate",
    ),
    "a key as ca": (lambda good: spoilt(good, ca=good.private_key), "The CA"),
    "surrogates": (lambda good: spoilt(good, private_key="\ud800", certificate="\ud800"), "The private key"),
}


@pytest.mark.parametrize(("spoil", "subject"), BAD_CONTAINERS.values(), ids=BAD_CONTAINERS.keys())
def test_what_cannot_be_used_is_refused_before_anything_is_touched(
    manager: Serving,
    issue: Callable[..., CertificateContainer],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[CertificateContainer], CertificateContainer],
    subject: str,
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    before = situation(manager)
    bad = spoil(issue("new.example.com"))
    with caplog.at_level(logging.DEBUG), pytest.raises(InvalidValue, match=subject) as refused:
        manager.ssl_action(CONTEXT, "enforced", bad, 1, None)
    assert situation(manager) == before
    for line in bad.private_key.splitlines()[1:-1]:
        assert line not in str(refused.value)
        assert line not in caplog.text


def test_a_container_does_not_show_its_key(issue: Callable[..., CertificateContainer]) -> None:
    container = issue()
    assert container.private_key.splitlines()[1] not in repr(container)


@pytest.mark.parametrize("mode", [None, "", "builtin", "MTLS", "basic\n"])
def test_an_unknown_mode_is_refused(
    manager: Serving, issue: Callable[..., CertificateContainer], mode: str | None
) -> None:
    with pytest.raises(InvalidValue, match="known modes are basic, enforced, mtls"):
        manager.ssl_action(CONTEXT, mode, issue(), 1, None)


def test_enabling_needs_a_certificate(manager: Serving) -> None:
    with pytest.raises(InvalidValue, match="no certificate"):
        manager.ssl_action(CONTEXT, "basic", None, 1, None)


def test_clients_cannot_be_checked_against_no_ca(manager: Serving, issue: Callable[..., CertificateContainer]) -> None:
    with pytest.raises(InvalidValue, match="without a CA"):
        manager.ssl_action(CONTEXT, "mtls", issue(with_ca=False), 1, None)


def test_a_restart_that_is_needed_is_told_to_both(
    manager: Serving, issue: Callable[..., CertificateContainer], reported: list[ServiceStatus]
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    assert reported == []
    manager.needs_restart = True
    assert manager.ssl_action(CONTEXT, None, None, None, 1).restart_required is True
    assert reported == [ServiceStatus.RESTART_REQUIRED]


def test_a_rollback_returns_to_what_was_in_force(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    first = issue("first.example.com")
    manager.ssl_action(CONTEXT, "basic", first, 1, None)
    manager.ssl_action(CONTEXT, "mtls", issue("second.example.com"), 1, None)
    result = manager.ssl_rollback(CONTEXT)
    assert (result.status, result.mode, result.restart_required) == ("on", "basic", False)
    assert on_disk(directory) == files_of(first)
    assert manager.mode == manager.guest.record.current.tls_mode == "basic"
    assert manager.shown == first.certificate


def test_a_rollback_of_the_first_certificate_switches_tls_off(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    result = manager.ssl_rollback(CONTEXT)
    # The control plane takes over a mode that it is told, null too, and keeps its own when the key is missing.
    assert msgspec.to_builtins(result) == {"restart_required": False, "status": "off", "mode": None}
    assert on_disk(directory) == {}
    assert manager.mode is manager.guest.record.current.tls_mode is None


def test_a_rollback_of_a_disabling_brings_the_certificate_back(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    container = issue()
    manager.ssl_action(CONTEXT, "enforced", container, 1, None)
    manager.ssl_action(CONTEXT, None, None, None, 1)
    assert manager.ssl_rollback(CONTEXT).mode == "enforced"
    assert on_disk(directory) == files_of(container)


def test_a_rollback_is_for_once(manager: Serving, issue: Callable[..., CertificateContainer]) -> None:
    with pytest.raises(NotFound, match="previous TLS setting"):
        manager.ssl_rollback(CONTEXT)
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    manager.ssl_rollback(CONTEXT)
    with pytest.raises(NotFound, match="previous TLS setting"):
        manager.ssl_rollback(CONTEXT)
    assert not (manager.guest.state_dir / "tls-previous.json").exists(), "a private key is not kept for nothing"


def test_a_request_that_came_twice_does_not_forget_where_to_roll_back_to(
    manager: Serving, issue: Callable[..., CertificateContainer]
) -> None:
    first, second = issue("first.example.com"), issue("second.example.com")
    manager.ssl_action(CONTEXT, "basic", first, 1, None)
    for _ in range(2):
        manager.ssl_action(CONTEXT, "enforced", second, 1, None)
    manager.ssl_rollback(CONTEXT)
    assert (manager.mode, manager.shown) == ("basic", first.certificate)


def test_the_next_agent_can_roll_back(
    manager: Serving, make_guest: MakeGuest, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    first = issue("first.example.com")
    manager.ssl_action(CONTEXT, "basic", first, 1, None)
    manager.ssl_action(CONTEXT, "enforced", issue("second.example.com"), 1, None)
    successor = Serving(make_guest(), directory)
    assert successor.ssl_rollback(CONTEXT).mode == "basic"
    assert on_disk(directory) == files_of(first)


@pytest.mark.parametrize("action", ["enable", "disable", "rollback"])
def test_where_the_server_refuses_everything_is_as_before(
    manager: Serving, issue: Callable[..., CertificateContainer], action: str
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue("first.example.com"), 1, None)
    manager.ssl_action(CONTEXT, "enforced", issue("second.example.com"), 1, None)
    new = issue("third.example.com")
    before = situation(manager)
    manager.refuses = True
    with pytest.raises(DatastoreError, match="the server refuses it"):
        change(manager, action, new)
    assert situation(manager) == before
    manager.refuses = False
    manager.ssl_rollback(CONTEXT)
    assert manager.mode == "basic"


@pytest.mark.parametrize("enabled_before", [True, False])
def test_a_server_that_has_loaded_the_new_files_is_told_to_load_the_previous_ones(
    manager: Serving, issue: Callable[..., CertificateContainer], enabled_before: bool
) -> None:
    if enabled_before:
        manager.ssl_action(CONTEXT, "basic", issue("first.example.com"), 1, None)
    before = situation(manager)
    manager.fails_late = True
    with pytest.raises(DatastoreError, match="went away"):
        manager.ssl_action(CONTEXT, "enforced", issue("second.example.com"), 1, None)
    assert situation(manager) == before


def change(manager: Serving, action: str, new: CertificateContainer) -> None:
    if action == "rollback":
        manager.ssl_rollback(CONTEXT)
    else:
        manager.ssl_action(CONTEXT, "mtls", new, action == "enable", action == "disable")


def test_a_way_back_that_takes_a_restart_asks_for_it(
    manager: Serving, issue: Callable[..., CertificateContainer], reported: list[ServiceStatus]
) -> None:
    manager.ssl_action(CONTEXT, "mtls", issue(), 1, None)
    manager.fails_late = True
    manager.needs_restart = True
    with pytest.raises(DatastoreError):
        manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    assert manager.mode == "mtls"
    assert reported == [ServiceStatus.RESTART_REQUIRED]


def test_half_a_change_whose_notes_are_lost_does_not_become_what_is_gone_back_to(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    first = issue("first.example.com")
    manager.ssl_action(CONTEXT, "mtls", first, 1, None)
    manager.ssl_action(CONTEXT, None, None, None, 1)
    # The record of the change is lost, and the files are gone already.
    manager.guest.record.change(tls_mode="mtls")
    manager.ssl_action(CONTEXT, None, None, None, 1)
    manager.ssl_rollback(CONTEXT)
    assert on_disk(directory) == files_of(first)


def test_a_refused_first_certificate_leaves_nothing(
    manager: Serving, directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    manager.refuses = True
    with pytest.raises(DatastoreError):
        manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    assert on_disk(directory) == {}
    with pytest.raises(NotFound):
        manager.ssl_rollback(CONTEXT)


@pytest.mark.parametrize("room", [0, 200, 900], ids=lambda room: f"{room} bytes")
def test_a_full_disk_is_reported_and_leaves_a_pair_that_matches(
    manager: Serving, issue: Callable[..., CertificateContainer], room: int
) -> None:
    manager.ssl_action(CONTEXT, "basic", issue("first.example.com"), 1, None)
    new = issue("second.example.com")
    before = situation(manager)
    with full_disk(room), pytest.raises(SystemFailure, match="Writing"):
        manager.ssl_action(CONTEXT, "enforced", new, 1, None)
    assert situation(manager) == before


def test_the_files_of_a_server_are_replaced_together_or_not_at_all(
    directory: Path, issue: Callable[..., CertificateContainer]
) -> None:
    files = TlsFiles(directory)
    first, second = issue(), issue("db.example.com", *(f"db{number}.example.com" for number in range(50)))
    second.ca = first.certificate  # stands for another authority's
    files.replace(files.named(first))
    room = max(len(second.private_key), len(second.ca))
    assert room < len(second.certificate)
    with full_disk(room), pytest.raises(SystemFailure, match="Writing"):
        files.replace(files.named(second))
    assert on_disk(directory) == files_of(first)


def test_a_damaged_previous_setting_is_named_and_in_nobodys_way(
    manager: Serving, issue: Callable[..., CertificateContainer]
) -> None:
    (manager.guest.state_dir / "tls-previous.json").write_bytes(b'{"mode": 7, "files": "s3cr3t"')
    with pytest.raises(SystemFailure, match=r"tls-previous\.json") as failed:
        manager.ssl_rollback(CONTEXT)
    assert "s3cr3t" not in str(failed.value)
    manager.ssl_action(CONTEXT, "basic", issue(), 1, None)
    assert manager.ssl_rollback(CONTEXT).status == "off"


def signed(subject: list[x509.NameAttribute[str]], *names: x509.GeneralName) -> str:
    """A certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name(subject)
    now = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number(), now, now)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_certificates_without_names_have_none() -> None:
    certificate = signed([])
    assert certificate_details(certificate) == {
        "cn": None,
        "expire_at": "2026-11-21T00:00:00.000000",
        "san": None,
        "payload": certificate,
    }


def test_a_private_key_beside_the_certificate_is_not_shown(
    manager: Serving, issue: Callable[..., CertificateContainer]
) -> None:
    container = issue()
    manager.shown = container.private_key + container.certificate
    assert manager.ssl_show(CONTEXT)["certificate"]["payload"] == container.certificate


def test_alternative_names_have_openssls_labels() -> None:
    certificate = signed(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Ädmin")],
        x509.RFC822Name("dba@example.com"),
        x509.UniformResourceIdentifier("https://db.example.com/"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    )
    details = certificate_details(certificate)
    assert details["cn"] == "Ädmin"
    assert details["san"] == ["email:dba@example.com", "URI:https://db.example.com/"]


def test_a_certificate_in_force_that_is_none_is_an_error_of_ours(manager: Serving) -> None:
    manager.shown = "no PEM"
    with pytest.raises(GuestAgentError, match="The certificate in force"):
        manager.ssl_show(CONTEXT)
