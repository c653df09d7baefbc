"""TLS between the server and its clients, on a port of its own."""

import socket

from guestagent.capabilities.configuration import AGENT
from guestagent.capabilities.tls import BASIC, ENFORCED, MTLS, ServerTls, TlsFiles
from guestagent.contract.errors import DatastoreError
from guestagent_redis import directives
from guestagent_redis.server import RedisServer

LOOPBACK = "127.0.0.1"
SECONDS = 5


class RedisTls(RedisServer, ServerTls):
    """Supports the capability *tls*; no change of it needs a restart.

    Clients that speak TLS reach the server on ``tls_port``. In the modes ``enforced`` and ``mtls`` there is no other
    port. The certificates are on the volume, so that they survive a rebuild.
    """

    def tls_files(self) -> TlsFiles:
        return TlsFiles(self.layout.tls_dir, self.account)

    def enable_tls(self, mode: str) -> bool:
        self.tls_files().try_out()
        with self.configuration.change():
            self.configure_tls(mode)
            if self.answers():
                self.client.set("Enabling TLS", self._switches(mode))
        return False

    def disable_tls(self) -> bool:
        with self.configuration.change():
            port = {"port": str(self.options.port)}
            self.write_agent_layer({**dict.fromkeys(self._switches(BASIC)), **port})
            if self.answers():
                off = {**port, "tls-port": "0", "tls-cert-file": "", "tls-key-file": ""}
                self.client.set("Disabling TLS", off)
        return False

    def configure_tls(self, mode: str) -> None:
        """Have the server use the files as a mode says, from its next start on."""
        self.write_agent_layer(self._switches(mode))

    def configured_tls_mode(self) -> str | None:
        """The mode that the agent's layer shows; none: TLS is not managed."""
        switches = self.switches()
        if "tls-port" not in switches:
            return None
        if switches.get("tls-auth-clients") == "yes":
            return MTLS
        return ENFORCED if directives.last([self.configuration.read(AGENT)], "port") == "0" else BASIC

    def certificate_in_force(self) -> str | None:
        port = int(self.client.settings("tls-port").get("tls-port", "0"))
        return self._shown_certificate(port) if port else None

    def _switches(self, mode: str) -> dict[str, str]:
        present = self.tls_files()
        return {
            "port": str(self.options.port) if mode == BASIC else "0",
            "tls-port": str(self.options.tls_port),
            "tls-cert-file": str(present.certificate),
            "tls-key-file": str(present.private_key),
            "tls-ca-cert-file": str(present.ca) if present.ca.exists() else "",
            "tls-auth-clients": "yes" if mode == MTLS else "no",
            "tls-protocols": " ".join(self.options.tls_versions),
        }

    def _shown_certificate(self, port: int) -> str:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Nothing is believed because of it.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with (
                socket.create_connection((self._own_address(), port), SECONDS) as plain,
                context.wrap_socket(plain) as wrapped,
            ):
                return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")
        except OSError as error:
            raise DatastoreError(subject="Looking at the certificate", problem=error.strerror or error) from None

    def _own_address(self) -> str:
        """One of the addresses on which the server listens."""
        first: str = self.options.bind_address.split()[0].removeprefix("-")
        return LOOPBACK if first in ("*", "0.0.0.0", "::*") else first  # noqa: S104  nothing is bound to it
