"""TLS between the database server and its clients."""

from typing import Any

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class CertificateContainer(msgspec.Struct):
    """The PEM texts that the control plane takes from its key manager."""

    private_key: str
    certificate: str
    ca: str = ""

    def __repr__(self) -> str:
        return "CertificateContainer(…)"


class TlsResult(msgspec.Struct):
    """What a change of the TLS setting came to."""

    restart_required: bool


class TlsRollback(TlsResult):
    """What is in force again.

    ``status`` is ``on`` or ``off``; ``mode`` is null when TLS is off, and travels then too: the control
    plane forgets the mode that it has recorded only when it is told another one.
    """

    status: str
    mode: str | None


class Tls(Capability):
    """Show, change and roll back the server's certificate and what clients must show."""

    @call(since="1.3", reads=True, required=True)
    def ssl_show(self, context: RequestContext) -> dict[str, Any]:
        """``{"status": "on"|"off"}`` and, when on, ``mode`` and ``certificate``.

        ``certificate`` has ``cn`` (the subject's common name or null), ``expire_at`` (ISO 8601, UTC, without a zone),
        ``san`` (a list such as ``["DNS:db.example.com", "IP Address:192.0.2.1"]``, or null) and ``payload``, the PEM
        text. The keys are those of Trove's API, which removes ``payload`` unless it is asked for, and puts the mode
        that it has recorded over ours.
        """

    @call(since="1.3", repeatable=True, required=True)
    def ssl_action(
        self,
        context: RequestContext,
        mode: str | None = None,
        container: CertificateContainer | None = None,
        enable: int | bool | None = None,
        disable: int | bool | None = None,
    ) -> TlsResult:
        """Enable TLS with a certificate, or disable it; what was in force is kept for a rollback.

        :param mode: ``basic`` (clients may), ``enforced`` (clients must) or ``mtls`` (clients must show a certificate).
        :raises InvalidValue: the certificate and key do not belong together, or the mode is unknown.
        """

    @call(since="1.3", required=True)
    def ssl_rollback(self, context: RequestContext) -> TlsRollback:
        """Put the previous setting in force again.

        :raises NotFound: there is none, as when the call is repeated.
        """
