"""TLS of the server: certificates that are checked before they are written, and the way back."""

import abc
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, InvalidValue, NotFound, SystemFailure
from guestagent.contract.states import ServiceStatus
from guestagent.contract.tls import CertificateContainer, TlsResult, TlsRollback
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import files

if TYPE_CHECKING:
    from cryptography import x509

LOG = log.getLogger(__name__)

BASIC = "basic"
"""Clients may use TLS."""
ENFORCED = "enforced"
"""Clients must use TLS."""
MTLS = "mtls"
"""Clients must use TLS and show a certificate of the CA."""
MODES = (BASIC, ENFORCED, MTLS)
ON, OFF = "on", "off"


class Setting(msgspec.Struct):
    """A TLS setting as it can be put in force again.

    :ivar mode: one of ``MODES``; none: no certificate of the control plane is in use.
    :ivar files: the texts of the certificate files that exist, by their names. Holds a private key.
    """

    mode: str | None
    files: dict[str, str]

    def __repr__(self) -> str:
        return f"Setting(mode={self.mode!r})"


class Outcome(msgspec.Struct):
    """What a change of the setting has shown."""

    restart_required: bool = False


class TlsFiles(msgspec.Struct, frozen=True):
    """The certificate files of a server in a directory of their own, mode 0600.

    A crash between two of them leaves a pair that does not match; a rollback, or the same change
    again, heals it.

    :ivar directory: holds the files and nothing else.
    :ivar owner: the account that reads them, also the name of its group; none: the agent's own.
    """

    directory: Path
    owner: str | None = None

    @property
    def private_key(self) -> Path:
        """The server's private key."""
        return self.directory / "server-key.pem"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.directory / "server-cert.pem"

    @property
    def ca(self) -> Path:
        """The certificates that clients' certificates are checked against; absent when none were given."""
        return self.directory / "ca.pem"

    def read(self) -> dict[str, str]:
        """The texts of the files that exist, by name."""
        texts = {}
        for path in self._all():
            with contextlib.suppress(FileNotFoundError):
                texts[path.name] = path.read_text()
        return texts

    def replace(self, texts: dict[str, str]) -> None:
        """Make the files what the texts say; one without a text is removed.

        :raises SystemFailure: the disk refuses.
        """
        try:
            files.ensure_directory(self.directory, mode=0o700, owner=self.owner, group=self.owner)
            with contextlib.ExitStack() as stack:
                # All of them are on disk before the first takes its name: a full disk leaves a pair that matches.
                for path in self._all():
                    if path.name in texts:
                        replacing = files.replacing(path, mode=0o600, owner=self.owner, group=self.owner)
                        stream = stack.enter_context(replacing)
                        stream.write(texts[path.name].encode())
                        stream.flush()
                        os.fsync(stream.fileno())
            for path in self._all():
                if path.name not in texts:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise SystemFailure(subject=f"Writing {self.directory}", problem=error.strerror) from error

    def named(self, container: CertificateContainer) -> dict[str, str]:
        """The texts of a container by the names of their files."""
        texts = {self.private_key: container.private_key, self.certificate: container.certificate}
        if container.ca.strip():
            texts[self.ca] = container.ca
        return {path.name: text for path, text in texts.items()}

    def try_out(self) -> None:
        """Load the files as a server will that uses OpenSSL: it does not start with what OpenSSL refuses.

        :raises InvalidValue: OpenSSL refuses them.
        """
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.private_key)
            if self.ca.exists():
                context.load_verify_locations(self.ca)
        except ssl.SSLError as error:
            raise InvalidValue(subject="The certificate", problem=f"OpenSSL says {error.reason or error}") from None

    def _all(self) -> tuple[Path, ...]:
        return (self.private_key, self.certificate, self.ca)


class ServerTls(BaseDatastoreManager, abc.ABC):
    """Supports the capability *tls* for a server that reads certificates from files."""

    @abc.abstractmethod
    def tls_files(self) -> TlsFiles:
        """The server's certificate files."""

    @abc.abstractmethod
    def enable_tls(self, mode: str) -> bool:
        """Let the server use the files, which are in place, and ask of clients what the mode says.

        Repeating it is safe. Where it raises, it has taken its own changes back; the caller then puts the
        previous files back, and lets the server use those in the same way.

        :returns: whether that is in force only when the server has been restarted.
        """

    @abc.abstractmethod
    def disable_tls(self) -> bool:
        """Let the server not use the files any more; they are removed afterwards. See :meth:`enable_tls`.

        :returns: whether that is in force only when the server has been restarted.
        """

    @abc.abstractmethod
    def certificate_in_force(self) -> str | None:
        """The certificate that the server shows to clients, as PEM; none: it does not speak TLS."""

    def restart_for_tls(self) -> None:
        """Have a running server use what it can use only from its start on; repeating it is safe.

        Asked when a change is taken back, with a server that has been started meanwhile: users must not be let in by
        less than before. By itself it asks the control plane for the restart.
        """
        self.guest.report(ServiceStatus.RESTART_REQUIRED)

    def ssl_show(self, context: RequestContext) -> dict[str, Any]:
        certificate = self.certificate_in_force()
        if certificate is None:
            return {"status": OFF}
        shown: dict[str, Any] = {"status": ON}
        if mode := self.guest.record.current.tls_mode:
            shown["mode"] = mode
        shown["certificate"] = certificate_details(certificate)
        return shown

    def ssl_action(
        self,
        context: RequestContext,
        mode: str | None = None,
        container: CertificateContainer | None = None,
        enable: int | bool | None = None,
        disable: int | bool | None = None,
    ) -> TlsResult:
        if bool(enable) == bool(disable):
            raise InvalidValue(subject="The TLS request", problem="it must say either enable or disable")
        wanted = self._checked(mode, container) if enable else Setting(None, {})
        outcome = Outcome()
        keep = Step(
            "keep the present setting for a rollback",
            lambda: self._keep_present(wanted),
            keep=self._kept,
            undo=self._keep,
        )
        change = self._change_step("change the setting", lambda: wanted, outcome)
        self.guest.carry_out(Plan("change TLS", [keep, change]))
        return TlsResult(restart_required=outcome.restart_required)

    def ssl_rollback(self, context: RequestContext) -> TlsRollback:
        outcome = Outcome()
        change = self._change_step("go back to the previous setting", self._known_previous, outcome)
        steps = [
            msgspec.structs.replace(change, done=lambda: self._previous() is None),
            Step("forget the previous setting", lambda: self._keep(None), keep=self._kept, undo=self._keep),
        ]
        self.guest.carry_out(Plan("roll TLS back", steps))
        mode = self.guest.record.current.tls_mode
        return TlsRollback(restart_required=outcome.restart_required, status=ON if mode else OFF, mode=mode)

    def recover_tls(self, configure: Callable[[str], None]) -> None:
        """Use the volume's certificates again, as the control plane's record says, after a rebuild.

        :param configure: writes the server's configuration for a mode.
        """
        mode = self.guest.conf.ssl_mode
        if mode not in MODES:
            return
        if not self.tls_files().certificate.exists():
            LOG.warning("The control plane records TLS mode %s, and the volume holds no certificate", mode)
            return
        self.tls_files().try_out()
        configure(mode)
        self.guest.record.change(tls_mode=mode)

    def tidy(self) -> None:
        super().tidy()
        files.sweep(self.tls_files().directory)

    @property
    def _previous_path(self) -> Path:
        return self.guest.state_dir / "tls-previous.json"

    def _checked(self, mode: str | None, container: CertificateContainer | None) -> Setting:
        if mode not in MODES:
            raise InvalidValue(subject=f"TLS mode {mode!r}", problem=f"known modes are {', '.join(MODES)}")
        if container is None:
            raise InvalidValue(subject="The TLS request", problem="it holds no certificate")
        check_certificates(container)
        if mode == MTLS and not container.ca.strip():
            problem = "the certificates come without a CA to check clients against"
            raise InvalidValue(subject=f"TLS mode {mode!r}", problem=problem)
        return Setting(mode, self.tls_files().named(container))

    def _present(self) -> Setting:
        return Setting(self.guest.record.current.tls_mode, self.tls_files().read())

    def _previous(self) -> Setting | None:
        try:
            return msgspec.json.decode(self._previous_path.read_bytes(), type=Setting)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            problem = "it is damaged; enable or disable TLS instead"
            raise SystemFailure(subject=f"Reading {self._previous_path}", problem=problem) from None

    def _known_previous(self) -> Setting:
        previous = self._previous()
        if previous is None:
            raise NotFound(subject="A previous TLS setting")
        return previous

    def _keep_present(self, wanted: Setting) -> None:
        """Keep the present setting for a rollback, unless what is asked for is in force."""
        present = self._present()
        if present.mode is None:
            present = Setting(None, {})
        elif self.tls_files().certificate.name not in present.files:
            # A change that lost its last notes to a power cut is in its middle, and has kept what was before it.
            return
        if present != wanted:  # a request that came twice must not make the rollback forget where to go
            self._keep(msgspec.json.encode(present).decode())

    def _kept(self) -> str | None:
        """What is kept for a rollback now, be it damaged."""
        return self._previous_path.read_text(errors="replace") if self._previous_path.exists() else None

    def _keep(self, setting: str | None) -> None:
        if setting is None:
            self._previous_path.unlink(missing_ok=True)
            return
        try:
            files.write(self._previous_path, setting, mode=0o600)
        except OSError as error:
            raise SystemFailure(subject=f"Writing {self._previous_path}", problem=error.strerror) from error

    def _change_step(self, name: str, wanted: Callable[[], Setting], outcome: Outcome) -> Step:
        """The server uses another setting, and it is recorded; when its plan fails, it uses the present one again."""

        def change() -> None:
            setting = wanted()
            outcome.restart_required = self._change_to(setting)
            self.guest.record.change(tls_mode=setting.mode)
            if outcome.restart_required:
                self.guest.report(ServiceStatus.RESTART_REQUIRED)

        return Step(
            name,
            change,
            keep=lambda: msgspec.to_builtins(self._present()),
            undo=lambda kept: self._return_to(msgspec.convert(kept, Setting)),
        )

    def _change_to(self, setting: Setting) -> bool:
        if setting.mode is None:
            restart_required = self.disable_tls()
            self.tls_files().replace({})
            return restart_required
        self.tls_files().replace(setting.files)
        return self.enable_tls(setting.mode)

    def _return_to(self, setting: Setting) -> None:
        """After a failure: the files as they were, and a server that may have loaded the new ones told so."""
        self.tls_files().replace(setting.files)
        self.guest.record.change(tls_mode=setting.mode)
        try:
            if self.disable_tls() if setting.mode is None else self.enable_tls(setting.mode):
                self.restart_for_tls()
        except GuestAgentError as error:
            LOG.error("The previous TLS files are back, but the server did not take them again: %s", error)


def check_certificates(container: CertificateContainer) -> None:
    """See that a server can use what the container holds.

    :raises InvalidValue: something is not PEM, or the private key is not the certificate's.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(container.private_key.encode(), password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidValue(subject="The private key", problem="it is not an unencrypted key in PEM form") from None
    certificate = _whole("The certificate", container.certificate)[0]
    try:
        belongs_together = certificate.public_key() == key
    except (ValueError, UnsupportedAlgorithm):
        belongs_together = False
    if not belongs_together:
        raise InvalidValue(subject="The certificate", problem="the private key belongs to another one")
    if container.ca.strip():
        _whole("The CA", container.ca)


def certificate_details(certificate: str) -> dict[str, Any]:
    """What Trove's API shows of a certificate.

    :returns: ``cn``, the subject's common name or none; ``expire_at``, ISO 8601 in UTC with
        microseconds and without a zone; ``san``, the alternative names with OpenSSL's labels
        (``DNS:db.example.com``, ``IP Address:192.0.2.1``), none when there are none; ``payload``, the
        certificates as PEM and nothing else that the text may hold.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    certificates = _certificates("The certificate in force", certificate)
    first = certificates[0]
    names = first.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    kinds: dict[type[x509.GeneralName], str] = {
        x509.DNSName: "DNS",
        x509.IPAddress: "IP Address",
        x509.RFC822Name: "email",
        x509.UniformResourceIdentifier: "URI",
    }
    try:
        alternatives = list(first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        alternatives = []
    return {
        "cn": names[0].value if names else None,
        "expire_at": first.not_valid_after_utc.replace(tzinfo=None).isoformat(timespec="microseconds"),
        "san": [f"{kinds[type(name)]}:{name.value}" for name in alternatives if type(name) in kinds] or None,
        "payload": "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates),
    }


def _whole(subject: str, text: str) -> list["x509.Certificate"]:
    """The certificates of a text that holds nothing else, and no broken one."""
    found = _certificates(subject, text)
    if len(found) != text.count("-----BEGIN "):
        raise InvalidValue(subject=subject, problem="it holds something that is not a certificate in PEM form")
    return found


def _certificates(subject: str, text: str) -> list["x509.Certificate"]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise InvalidValue(subject=subject, problem="it is not a certificate in PEM form") from None
