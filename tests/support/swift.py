"""A Swift of the tests' own: one of each of its servers, on ports and in a directory of its own."""

import configparser
import contextlib
import dataclasses
import http.client
import pwd
import socket
import subprocess
import types
from collections.abc import Mapping
from os import geteuid
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, urlencode

from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK, free_port
from tests.support.environments import environment

SWIFT = "swift==2.38.3"
CONSTRAINTS = Path(__file__).with_name("swift-constraints.txt")
MEMCACHED = "/usr/bin/memcached"
START_SECONDS = 60.0
STOP_SECONDS = 20.0

SEGMENTS = 4
"""Entries of the longest list of a large object: few, so that few parts make two levels of lists."""
PAGE = 5
"""Names on a page of a container: few, so that few objects make two pages."""
LARGEST = 64 << 20
"""Bytes of the largest object."""

# Swift's own program for this does one step at a time, and takes nine starts of Python.
BUILD_RINGS = """
import sys
from swift.common.ring import RingBuilder
directory, *ports = sys.argv[1:]
for name, port in zip(("account", "container", "object"), ports):
    ring = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
    ring.add_dev({"region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": int(port), "device": "disk"})
    ring.rebalance()
    ring.get_ring().save(f"{directory}/{name}.ring.gz")
"""

# Swift takes its limits from one place of the machine only, unless it is told so while it is imported.
SERVE = """
import importlib
import sys
from swift.common import constraints, utils
utils.SWIFT_CONF_FILE, name = sys.argv[1:3]
constraints.reload_constraints()
sys.argv[1:3] = []
importlib.import_module(f"swift.{name}.server").main()
"""


PASSWORDS: Final = {"owner": "Vi7Lk0wners-own", "stranger": "Qe2Lstrangers-own"}
"""Of the users; texts that are found nowhere by accident."""


@dataclasses.dataclass(frozen=True)
class Reply:
    """What Swift answers; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


ON_A_BUSY_MACHINE = {"conn_timeout": 30, "node_timeout": 60, "container_update_timeout": 60}
"""Seconds that the servers wait for each other: a list must hold what a PUT before it has put."""


class Swift:
    """A cluster of one replica on the loopback interface.

    :param directory: its home: configuration, rings, data and logs; on a file system with extended attributes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._python = environment("swift", [SWIFT], CONSTRAINTS)
        self._environment = plain_environment(directory)
        # Swift changes to an account of its own when it starts as root; the tests have only theirs.
        self._account = pwd.getpwuid(geteuid()).pw_name
        self.port = free_port()
        self._memory_port = free_port()
        self._ports = {"account": free_port(), "container": free_port(), "object": free_port()}
        self._children: list[Child] = []
        self._configure()

    @property
    def path(self) -> str:
        """Of the account in a URL."""
        return "/v1/AUTH_project"

    @property
    def url(self) -> str:
        """Of the account; what Trove calls ``swift_url``."""
        return f"http://{LOOPBACK}:{self.port}{self.path}"

    def start(self) -> None:
        """Start the servers and wait until they answer."""
        memory = [MEMCACHED, "-l", LOOPBACK, "-p", str(self._memory_port), "-U", "0", "-m", "16", "-u", self._account]
        self._start("memcached", memory)
        for name in (*self._ports, "proxy"):
            limits, conf = (str(self._directory / f"{file}.conf") for file in ("swift", name))
            self._start(name, [str(self._python), "-c", SERVE, limits, _module(name), conf, "--verbose"])
        eventually(
            lambda: any(child.returncode is not None for child in self._children) or self._answers(),
            timeout=START_SECONDS,
            every=0.1,
            message=f"Swift does not answer; see {self._directory}",
        )
        for child in self._children:
            assert child.returncode is None, f"a server ended with {child.returncode}; see {child.output}"

    def close(self) -> None:
        """Stop everything that belongs to it."""
        for child in reversed(self._children):
            with contextlib.suppress(AssertionError):
                child.terminate(STOP_SECONDS)
        self._children.clear()

    def token(self, user: str = "owner") -> str:
        """A fresh token.

        :param user: ``owner`` may do everything with the account, ``stranger`` nothing.
        """
        login = {"X-Storage-User": f"project:{user}", "X-Storage-Pass": PASSWORDS[user]}
        reply = self._send("GET", "/auth/v1.0", login)
        assert reply.status == http.HTTPStatus.OK, reply
        return reply.headers["x-auth-token"]

    def expire_tokens(self) -> None:
        """Let no token be known any more, as when their time was over."""
        with socket.create_connection((LOOPBACK, self._memory_port), timeout=10) as connection:
            connection.sendall(b"flush_all\r\n")
            assert connection.recv(64) == b"OK\r\n"

    def said(self, text: str) -> int:
        """How often the proxy has logged something."""
        return (self._directory / "proxy.output").read_text(errors="replace").count(text)

    def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request as the owner, past what is tested.

        :param path: below the account, not quoted.
        """
        target = f"{self.path}{quote(path)}?{urlencode(query or {})}"
        return self._send(method, target, {"X-Auth-Token": self.token(), **(headers or {})})

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _start(self, name: str, argv: list[str]) -> None:
        output = self._directory / f"{name}.output"
        self._children.append(Child(argv, environment=self._environment, directory=self._directory, output=output))

    def _send(self, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, target, headers=dict(headers))
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def _answers(self) -> bool:
        """Whether all the servers do, asked through the proxy."""
        try:
            made = self.ask("PUT", "/started")
            kept = self.ask("PUT", "/started/object")
            return {made.status, kept.status} <= {201, 202}
        except (OSError, AssertionError, http.client.HTTPException):
            return False

    def _configure(self) -> None:
        (self._directory / "disks" / "disk").mkdir(parents=True)
        self._write(
            "swift",
            {
                "swift-hash": {"swift_hash_path_suffix": "tests"},
                "swift-constraints": {"container_listing_limit": PAGE, "max_file_size": LARGEST},
            },
        )
        subprocess.run(
            [str(self._python), "-c", BUILD_RINGS, str(self._directory), *map(str, self._ports.values())],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        for name, port in self._ports.items():
            parts: dict[str, dict[str, object]] = {"pipeline:main": {"pipeline": f"{name}-server"}}
            parts[f"app:{name}-server"] = {"use": f"egg:swift#{name}", "fallocate_reserve": 0} | ON_A_BUSY_MACHINE
            self._write(name, {"DEFAULT": self._defaults(port), **parts})
        self._write("proxy", {"DEFAULT": self._defaults(self.port), **self._proxy()})

    def _defaults(self, port: int) -> dict[str, object]:
        return {
            "bind_ip": LOOPBACK,
            "bind_port": port,
            # None beside the first process, so that ours is the one that gets the signals.
            "workers": 0,
            "user": self._account,
            "swift_dir": self._directory,
            "devices": self._directory / "disks",
            "mount_check": "false",
            # Its log goes to its output; there is no syslog here.
            "log_address": self._directory / "no-syslog",
            "fallocate_reserve": 0,
            **ON_A_BUSY_MACHINE,
        }

    def _proxy(self) -> dict[str, dict[str, object]]:
        middleware: dict[str, dict[str, object]] = {
            "catch_errors": {},
            "gatekeeper": {},
            "memcache": {
                "memcache_servers": f"{LOOPBACK}:{self._memory_port}",
                **dict.fromkeys(("connect_timeout", "pool_timeout", "io_timeout"), 30),
            },
            "tempauth": {
                "user_project_owner": f"{PASSWORDS['owner']} .admin",
                "user_project_stranger": PASSWORDS["stranger"],
            },
            # Without a limit Swift gives the eleventh and later small parts a second each.
            "slo": {"max_manifest_segments": SEGMENTS, "rate_limit_after_segment": 1000},
        }
        return {
            "pipeline:main": {"pipeline": " ".join([*middleware, "proxy-server"])},
            **{f"filter:{name}": {"use": f"egg:swift#{name}", **how} for name, how in middleware.items()},
            "app:proxy-server": {
                "use": "egg:swift#proxy",
                "account_autocreate": "true",
                # It may be up before the others, and must not think for a minute that they never will be.
                "error_suppression_limit": 1_000_000,
                **ON_A_BUSY_MACHINE,
            },
        }

    def _write(self, name: str, sections: Mapping[str, Mapping[str, object]]) -> None:
        parser = configparser.ConfigParser(default_section="", interpolation=None)
        for section, values in sections.items():
            parser[section] = {key: str(value) for key, value in values.items()}
        with (self._directory / f"{name}.conf").open("w") as file:
            parser.write(file)


def _module(server: str) -> str:
    """Where a server's program is."""
    return {"object": "obj"}.get(server, server)
