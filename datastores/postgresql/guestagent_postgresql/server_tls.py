"""TLS between the server and its clients."""

import socket
import struct
import time

from guestagent.capabilities.tls import ServerTls, TlsFiles
from guestagent.contract.errors import DatastoreDown, DatastoreError
from guestagent.system import waiting
from guestagent_postgresql import host_access
from guestagent_postgresql.connection import DATASTORE
from guestagent_postgresql.server import PostgreSQLServer
from guestagent_postgresql.settings import POLL_SECONDS, RELOAD_SECONDS

TLS_REQUEST = struct.pack("!ii", 8, 80877103)
"""How a client asks for TLS; see the protocol's "SSLRequest"."""
HERE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  nothing is bound to it
"""Where a server can be reached on the guest that listens on all addresses."""


class PostgreSQLTls(PostgreSQLServer, ServerTls):
    """Supports the capability *tls*: the files are loaded, and given up, without a restart.

    What clients must show is in the rules of who may log in. The certificates are on the volume, so that they survive
    a rebuild.
    """

    def tls_files(self) -> TlsFiles:
        return TlsFiles(self.layout.tls_dir, self.account)

    def enable_tls(self, mode: str) -> bool:
        self.tls_files().try_out()
        return self._change_tls(mode)

    def disable_tls(self) -> bool:
        return self._change_tls(None)

    def certificate_in_force(self) -> str | None:
        self.connections.fetch("Asking the server", "SELECT 1")
        return self._shown_certificate()

    def configure_tls(self, mode: str | None) -> None:
        """Have the server use the files from its next start on; none: no TLS."""
        present = self.tls_files()
        self.write_agent_layer(
            ssl="on" if mode else None,
            ssl_cert_file=str(present.certificate) if mode else None,
            ssl_key_file=str(present.private_key) if mode else None,
            ssl_ca_file=str(present.ca) if mode and present.ca.exists() else None,
        )
        self.write_host_access(mode)

    def configured_tls_mode(self) -> str | None:
        """The mode that the files show; none: TLS is not managed."""
        if self.switches().get("ssl") != "on":
            return None
        return host_access.mode_of(self.layout.host_access_file.read_text())

    def _change_tls(self, mode: str | None) -> bool:
        before = self.layout.host_access_file.read_text()
        try:
            with self.configuration.change():
                self.configure_tls(mode)
                if not self.answers():
                    return mode is not None
                self.reload()
                self._wait_for_certificate(self.tls_files().certificate.read_text() if mode else None)
        except BaseException:
            self.configuration.write_beside(self.layout.host_access_file, before)
            raise
        return False

    def _wait_for_certificate(self, wanted: str | None) -> None:
        """Wait until the server shows a certificate; it loads them after everything else that it reads again.

        :param wanted: as PEM, perhaps followed by others; none: it speaks no TLS.
        :raises DatastoreError: it goes on with another one, and its log says why.
        """
        import ssl

        expected = ssl.PEM_cert_to_DER_cert(_first(wanted)) if wanted else None
        log_size = self.error_log.size()
        deadline = time.monotonic() + RELOAD_SECONDS
        while True:
            shown = self._shown_certificate()
            if (ssl.PEM_cert_to_DER_cert(shown) if shown else None) == expected:
                return
            if time.monotonic() > deadline:
                problem = self.error_log.reasons(log_size) or f"the end of {self.layout.log} says why"
                raise DatastoreError(subject="Loading the certificate", problem=problem)
            waiting.pause(POLL_SECONDS)

    def _shown_certificate(self) -> str | None:
        """The certificate that the server shows to a client, as PEM; none: it speaks no TLS.

        :raises DatastoreDown: it cannot be reached.
        """
        import ssl

        first = self.options.listen_addresses.split(",")[0].strip()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Nothing is believed because of it.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            place = (HERE.get(first, first), self.options.port)
            with socket.create_connection(place, self.options.probe_timeout) as plain:
                plain.sendall(TLS_REQUEST)
                if plain.recv(1) != b"S":
                    return None
                with context.wrap_socket(plain) as wrapped:
                    return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")
        except OSError as error:
            raise DatastoreDown(datastore=DATASTORE, problem=f"looking at its certificate: {error}") from None


def _first(certificates: str) -> str:
    """The first certificate of a text, which is the server's."""
    end = "-----END CERTIFICATE-----"
    return certificates[certificates.index("-----BEGIN CERTIFICATE-----") : certificates.index(end) + len(end)]
