"""A machine for one Redis or Valkey guest, and clients of its server."""

import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guestagent_redis import options
from guestagent_redis.manager import RedisManager
from guestagent_redis.resp import Refused, Reply, Word, call

from guestagent.conformance.ports import LOOPBACK
from tests.support import machine as anybody
from tests.support import redis

FLAVOUR = (Path(__file__).parent / "fixtures" / "flavour.conf").read_text()
"""A base configuration as the control plane sends it for a small flavour."""


class Machine(anybody.Machine[RedisManager]):
    """Where one guest lives."""

    def __init__(self, directory: Path, datastore: str = redis.DATASTORE, **settings: object) -> None:
        given = {**redis.options(directory, datastore)[datastore], **settings}
        super().__init__(directory, datastore, RedisManager, given)

    def register(self) -> None:
        options.register(self.conf, self.datastore)

    @property
    def tls_port(self) -> int:
        """Where clients reach the server over TLS."""
        return int(self.conf[self.datastore].tls_port)

    @property
    def account(self) -> str | None:
        """Whom the server runs as; none: the tests' own account."""
        return self.conf[self.datastore].account or None

    @contextlib.contextmanager
    def connected(self, tls: ssl.SSLContext | None = None) -> Iterator["Client"]:
        """A client over the network that has not logged in."""
        with contextlib.ExitStack() as opened:
            port = self.tls_port if tls else self.port
            connection: socket.socket = opened.enter_context(socket.create_connection((LOOPBACK, port), 10))
            if tls:
                connection = opened.enter_context(tls.wrap_socket(connection, server_hostname=LOOPBACK))
            yield Client(connection)

    @contextlib.contextmanager
    def client(self, name: str, password: str, tls: ssl.SSLContext | None = None) -> Iterator["Client"]:
        """A client that has logged in; without a name: as root."""
        with self.connected(tls) as client:
            client("AUTH", *([name] if name else []), password)
            yield client

    def ask(self, name: str, password: str, *words: Word) -> Any:
        """What a client is answered."""
        with self.client(name, password) as client:
            return client(*words)

    def enters(self, name: str, password: str, tls: ssl.SSLContext | None = None) -> bool:
        """Whether a client gets in."""
        try:
            with self.client(name, password, tls) as client:
                return client("PING") == "PONG"
        except (Refused, OSError):
            return False


class Client:
    """What talks over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._replies = connection.makefile("rb")

    def __call__(self, *words: Word) -> Reply:
        return call(self._connection, self._replies, *words)


machine = functools.partial(anybody.opened, Machine)
"""A machine on which nothing has happened yet; takes options of the datastore."""
prepare = functools.partial(anybody.prepare, config_contents=FLAVOUR, ds_version="7.0")
"""What the control plane sends to a new machine."""
