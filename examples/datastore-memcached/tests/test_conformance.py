"""memcached as the conformance kit sees it."""

import os
import shutil
import socket
from typing import Any

from guestagent.conformance.datastore import Account, Datastore, Options, Setting
from guestagent.conformance.ports import LOOPBACK, free_port
from guestagent.conformance.suite import *  # noqa: F403

SHOWN = {"memory-limit": "maxbytes", "threads": "num_threads"}


class Memcached(Datastore):
    """The server of the distribution."""

    name = "memcached"
    programs = ("memcached",)
    version = "1.6"
    keeps_data = False
    live = Setting("memory-limit", 100, seen=100 << 20)
    restart = Setting("threads", 2)
    refused = (Setting("threads", 0), Setting("conn-limit", "many"), Setting("pidfile", "/etc/passwd"))

    def options(self) -> Options:
        self._port = free_port()
        account = "memcache" if os.geteuid() == 0 else ""
        return {
            "memcached": {
                "address": LOOPBACK,
                "port": self._port,
                "account": account,
                "directory": self.directory / "memcached",
            }
        }

    def write(self, account: Account, key: str, value: str) -> None:
        assert self._ask(f"set {key} 0 0 {len(value)}\r\n{value}") == ["STORED"]

    def read(self, account: Account, key: str) -> str | None:
        found = self._ask(f"get {key}")
        return found[1] if found[0].startswith("VALUE") else None

    def setting(self, account: Account, name: str) -> Any:
        found = dict(line.split()[1:3] for line in self._ask("stats settings") if line.startswith("STAT"))
        return int(found[SHOWN[name]])

    def lose_root_disk(self) -> None:
        shutil.rmtree(self.directory / "memcached")

    def _ask(self, request: str) -> list[str]:
        with socket.create_connection((LOOPBACK, self._port), timeout=5) as connection:
            connection.sendall(f"{request}\r\nquit\r\n".encode())
            return connection.makefile().read().splitlines()


DATASTORE = Memcached
