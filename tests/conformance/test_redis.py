"""Redis as the conformance kit sees it."""

import contextlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from guestagent_redis.resp import Refused, call

from guestagent.conformance.datastore import Account, Datastore, Options, Setting
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.suite import *  # noqa: F403
from tests.support import redis


class Redis(Datastore):
    """With the server of the distribution."""

    name = redis.DATASTORE
    programs = ("redis-server", "redis-cli")
    version = "7.0"
    config_contents = "maxclients 100\nmaxmemory 64mb\nsave 3600 1\n"
    backup_strategy = "redis_rdb"
    live = Setting("maxclients", 70, seen="70")
    restart = Setting("databases", 20, seen="20")
    refused = (Setting("maxclients", "many"), Setting("maxmemory-policy", "banana"), Setting("dir", "/tmp"))

    refused_live = Setting("maxclients", 10_000_000)
    touching = {"guestagent_redis.client": {"ask", "refusal"}, "guestagent_redis.persistence": {"save"}}
    configured = ("config/**/*", "volume/tls/*")
    unfinished = (".backup-scratch", ".backup-draft", "trial.conf", "lent")

    def options(self) -> Options:
        found = redis.options(self.directory, self.name)
        self._port, self._tls_port = (int(str(found[self.name][name])) for name in ("port", "tls_port"))
        return found

    def enters(self, account: Account) -> bool:
        try:
            return self._ask(account, "PING") == "PONG"
        except Refused as refused:
            if refused.code not in ("WRONGPASS", "NOAUTH"):
                raise
            return False

    def write(self, account: Account, key: str, value: str) -> None:
        self._ask(account, "SET", key, value)

    def may_write(self, account: Account) -> bool:
        try:
            self.write(account, "probe", "")
        except Refused as refused:
            if refused.code != "NOREPLICAS":
                raise
            return False
        return True

    def read(self, account: Account, key: str) -> str | None:
        found: str | None = self._ask(account, "GET", key)
        return found

    def setting(self, account: Account, name: str) -> Any:
        return self._ask(account, "CONFIG", "GET", name)[1]

    def certificate(self, account: Account) -> bytes | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with (
                socket.create_connection((LOOPBACK, self._tls_port), 10) as plain,
                context.wrap_socket(plain) as wrapped,
            ):
                call(wrapped, wrapped.makefile("rb"), "AUTH", account.name, account.password)
                return wrapped.getpeercert(binary_form=True)
        except ConnectionRefusedError:
            assert self.enters(account)
            return None

    def lose_root_disk(self) -> None:
        for name in ("run", "log", "config"):
            shutil.rmtree(self.directory / name)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.create_connection((LOOPBACK, self._port), 10) as connection:
            yield connection

    def _ask(self, account: Account, *words: str) -> Any:
        with self._connected() as connection, connection.makefile("rb") as replies:
            call(connection, replies, "AUTH", account.name, account.password)
            return call(connection, replies, *words)


DATASTORE = Redis
