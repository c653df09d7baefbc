"""An S3 of the tests' own: Swift with its S3 API, which verifies signatures, hashes and clocks as Amazon's does."""

import contextlib
import dataclasses
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from guestagent.conformance.certificates import Authority
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK, free_port
from tests.support.swift import PAGE, PASSWORDS, START_SECONDS, Swift

REGION: Final = "us-east-1"


@dataclasses.dataclass(frozen=True)
class User:
    """Somebody whom the store knows."""

    access_key: str
    secret_key: str

    def write(self, path: Path, *, token: str = "") -> Path:
        """Write a file of credentials, as the strategy reads it."""
        lines = ["[default]", f"aws_access_key_id={self.access_key}", f"aws_secret_access_key={self.secret_key}"]
        if token:
            lines.append(f"aws_session_token={token}")
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n")
        return path


OWNER: Final = User("project:owner", PASSWORDS["owner"])
STRANGER: Final = User("project:stranger", PASSWORDS["stranger"])


class S3(Swift):
    """The store; it speaks TLS on a port of its own.

    :param directory: as for :class:`Swift`.
    """

    tls_host = "localhost"
    """The one name that its certificate is for."""

    def __init__(self, directory: Path) -> None:
        self.tls_port = free_port()
        self.authority = Authority(directory)
        super().__init__(directory)

    @property
    def endpoint(self) -> str:
        """What the strategy calls ``endpoint_url``."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def tls_endpoint(self) -> str:
        """The same with TLS."""
        return f"https://{self.tls_host}:{self.tls_port}"

    def start(self) -> None:
        super().start()
        program = str(self._python.with_name("swift-proxy-server"))
        self._start("proxy-tls", [program, str(self._directory / "proxy-tls.conf"), "--verbose"])
        eventually(self._listens_with_tls, timeout=START_SECONDS, message=f"no TLS; see {self._directory}")

    def _listens_with_tls(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.tls_port), timeout=1):
            return True
        return False

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        assert self.ask("PUT", f"/{name}").status == 201

    def keys(self, container: str) -> list[str]:
        """The names of everything in a container of Swift's, past what is tested."""
        names: list[str] = []
        while page := self._names(container, names):
            names += page
        return names

    def _names(self, container: str, before: list[str]) -> list[str]:
        reply = self.ask("GET", f"/{container}", {"marker": before[-1] if before else ""})
        return reply.content.decode().splitlines() if reply.status == 200 else []

    def parts(self, bucket: str) -> list[str]:
        """The names of what was sent in parts: by uploads that were begun, and by those that became objects."""
        return self.keys(f"{bucket}+segments")

    def _configure(self) -> None:
        super()._configure()
        certificate, key = self.authority.issue(self.tls_host)
        secured = {**self._defaults(self.tls_port), "cert_file": certificate, "key_file": key}
        self._write("proxy-tls", {"DEFAULT": secured, **self._proxy()})

    def _proxy(self) -> dict[str, dict[str, object]]:
        sections = super()._proxy()
        pipeline = str(sections["pipeline:main"]["pipeline"])
        sections["pipeline:main"] = {"pipeline": pipeline.replace("tempauth", "s3api tempauth bulk")}
        s3api: Mapping[str, object] = {
            "use": "egg:swift#s3api",
            "location": REGION,
            # It asks for one more than that, to know whether there is more.
            "max_bucket_listing": PAGE - 1,
            "storage_domain": "s3.test",
        }
        sections["filter:s3api"] = dict(s3api)
        sections["filter:bulk"] = {"use": "egg:swift#bulk"}
        sections["filter:slo"] = {"use": "egg:swift#slo"}
        return sections
