"""Certificates as the control plane takes them from its key manager, for the server and for clients."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from guestagent.contract.tls import CertificateContainer

DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """Signs what is asked for."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
        self.pem = self._signed(self._name, self._key, is_authority=True)

    def container(self, name: str, key: Key | None = None) -> CertificateContainer:
        """A server's certificate, as the control plane sends it."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return CertificateContainer(_key_pem(key), self._signed(subject, key), self.pem)

    def client(self, directory: Path) -> ssl.SSLContext:
        """What a client that trusts the authority uses to show a certificate of it."""
        made = self.container("client")
        (directory / "client.pem").write_text(made.certificate)
        (directory / "client.key").write_text(made.private_key)
        context = self.trusting()
        context.load_cert_chain(directory / "client.pem", directory / "client.key")
        return context

    def trusting(self) -> ssl.SSLContext:
        """What a client that trusts the authority uses, without a certificate of its own."""
        context = ssl.create_default_context(cadata=self.pem)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _signed(self, subject: x509.Name, key: Key, *, is_authority: bool = False) -> str:
        now = datetime.datetime.now(datetime.UTC)
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(addresses, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
