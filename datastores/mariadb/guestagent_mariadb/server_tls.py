"""TLS between the server and its clients."""

import json

from guestagent.capabilities.tls import BASIC, ENFORCED, MTLS, ServerTls, TlsFiles
from guestagent.contract.context import RequestContext
from guestagent.contract.tls import CertificateContainer, TlsResult, TlsRollback
from guestagent.system import files
from guestagent_mariadb.grants import Account
from guestagent_mariadb.server import MariaDBServer
from guestagent_mariadb.users import MariaDBUsers

ANYHOW, OVER_TLS, WITH_CERTIFICATE = "", "ANY", "X509"
"""What ``mysql.user`` says of how a user must log in."""
CLAUSES = {ANYHOW: "REQUIRE NONE", OVER_TLS: "REQUIRE SSL", WITH_CERTIFICATE: "REQUIRE X509"}


class MariaDBTls(MariaDBUsers, MariaDBServer, ServerTls):
    """Supports the capability *tls*.

    ``enforced`` is a setting of the server as a whole. For ``mtls`` it has none: every user without a
    stricter requirement of its own must show a certificate, and gets its old requirement back afterwards.
    The certificates are on the volume, so that they survive a rebuild.
    """

    def tls_files(self) -> TlsFiles:
        return TlsFiles(self.layout.tls_dir, self.account)

    def enable_tls(self, mode: str) -> bool:
        self.tls_files().try_out()
        with self.configuration.change():
            self.configure_tls(mode)
            if not self._uses_files():
                return True
            self.connections.execute("Loading the certificate", "FLUSH SSL")
            self._require_tls(mode != BASIC)
            self.settle_logins(mode)
        return False

    def disable_tls(self) -> bool:
        with self.configuration.change():
            self.write_agent_layer(**dict.fromkeys(self._switches(BASIC)))
            if not self.answers():
                return False
            self._require_tls(False)
            self.settle_logins(None)
            return self._speaks_tls()

    def restart_for_tls(self) -> None:
        # One that is down finds everything at its start.
        if self.answers():
            self.stop_server()
            self.start_server()

    def ssl_action(
        self,
        context: RequestContext,
        mode: str | None = None,
        container: CertificateContainer | None = None,
        enable: int | bool | None = None,
        disable: int | bool | None = None,
    ) -> TlsResult:
        self.require_room()
        return super().ssl_action(context, mode, container, enable, disable)

    def ssl_rollback(self, context: RequestContext) -> TlsRollback:
        self.require_room()
        return super().ssl_rollback(context)

    def tidy(self) -> None:
        super().tidy()
        files.sweep(self.layout.logins_before_mtls.parent)

    def certificate_in_force(self) -> str | None:
        return self.connections.shown_certificate() if self._speaks_tls() else None

    def start_server(self) -> None:
        super().start_server()
        self.settle_logins(self.guest.record.current.tls_mode)

    def configure_tls(self, mode: str) -> None:
        """Have the server use the files from its next start on."""
        self.write_agent_layer(**self._switches(mode))

    def configured_tls_mode(self) -> str | None:
        """The mode that the files show; none: TLS is not managed."""
        if "ssl_cert" not in self.switches():
            return None
        if self.layout.logins_before_mtls.exists():
            return MTLS
        return ENFORCED if self.switches().get("require_secure_transport") == "ON" else BASIC

    def login_requirement(self) -> str:
        return CLAUSES[WITH_CERTIFICATE if self.guest.record.current.tls_mode == MTLS else ANYHOW]

    def settle_logins(self, mode: str | None) -> None:
        """Let users show a certificate in mode ``mtls``, and what they had to before in the others."""
        remembered = self._logins_before()
        if mode == MTLS:
            self._demand_certificates(remembered)
        elif remembered is not None:
            for account, requirement in self._logins():
                if requirement == WITH_CERTIFICATE:
                    self._demand(account, remembered.get(account, ANYHOW))
            self.layout.logins_before_mtls.unlink()

    def _demand_certificates(self, remembered: dict[Account, str] | None) -> None:
        logins = self._logins()
        if remembered is None:
            remembered = {account: requirement for account, requirement in logins if requirement == WITH_CERTIFICATE}
        remembered |= {account: requirement for account, requirement in logins if requirement == OVER_TLS}
        text = json.dumps([[*account, requirement] for account, requirement in remembered.items()])
        files.write(self.layout.logins_before_mtls, text, mode=0o600)
        for account, requirement in logins:
            if requirement in (ANYHOW, OVER_TLS):
                self._demand(account, WITH_CERTIFICATE)

    def _logins_before(self) -> dict[Account, str] | None:
        """What users had to show before ``mtls`` where that was something; none: it is not in force."""
        try:
            text = self.layout.logins_before_mtls.read_text()
        except FileNotFoundError:
            return None
        return {Account(name, host): requirement for name, host, requirement in json.loads(text)}

    def _logins(self) -> list[tuple[Account, str]]:
        rows = self.connections.fetch(
            "Listing users",
            "SELECT User, Host, ssl_type FROM mysql.user"
            " WHERE is_role = 'N' AND Host <> 'localhost' AND BINARY User NOT IN %s",
            (sorted(self.hidden_users - {"root"}),),
        )
        return [(Account(name, host), requirement) for name, host, requirement in rows]

    def _demand(self, account: Account, requirement: str) -> None:
        self.connections.execute(
            f"Changing how user '{account}' must log in", f"ALTER USER %s@%s {CLAUSES[requirement]}", account
        )

    def _require_tls(self, required: bool) -> None:
        self.connections.execute(
            "Changing whether clients must use TLS", "SET GLOBAL require_secure_transport = %s", (int(required),)
        )

    def _speaks_tls(self) -> bool:
        [(state,)] = self.connections.fetch("Reading the TLS setting", "SELECT @@have_ssl")
        return str(state) == "YES"

    def _uses_files(self) -> bool:
        """Whether the running server has the very files open, so that it can load them again."""
        if not self.answers() or not self._speaks_tls():
            return False
        [(certificate, ca)] = self.connections.fetch("Reading the TLS setting", "SELECT @@ssl_cert, @@ssl_ca")
        present = self.tls_files()
        paths = (str(present.certificate), str(present.ca) if present.ca.exists() else "")
        return bool((certificate, ca) == paths)

    def _switches(self, mode: str) -> dict[str, str | bool | None]:
        present = self.tls_files()
        return {
            "ssl_cert": str(present.certificate),
            "ssl_key": str(present.private_key),
            "ssl_ca": str(present.ca) if present.ca.exists() else None,
            "tls_version": ",".join(self.options.tls_versions),
            "require_secure_transport": mode != BASIC,
        }
