"""A guest: the image's files under systemd-nspawn, in a network of its own, with the drive that Nova would give it."""

import contextlib
import functools
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from guestagent.conformance.agent import Groups
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.datastore import Account, Datastore
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.image import drive
from tests.image.builds import Build
from tests.support.container import BEGUN, READY, Container, booted, changed
from tests.support.namespaces import Network
from tests.support.swift import Swift

USER, PASSWORD, DATABASE = "app", "Wee/sleekit 1", "shop"
FIRST_ANSWER = 60.0
PREPARED = 120.0
AGENT_PID = ("systemctl", "show", "--property=MainPID", "--value", "guestagent")
SCAN = """
import re, sys
found = set()
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in maps:
        span, mode = line.split()[:2]
        if mode.startswith("rw") and "[v" not in line:
            start, end = (int(edge, 16) for edge in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue  # it was given back meanwhile
            found |= set(re.findall(rb"site-packages/(guestagent_[a-z0-9_]+)/\\w+\\.py", content))
print(*(name.decode() for name in found))
"""
NAMESPACE = "guestagent"
NOTIFICATION = "trove.common.notification.DBaaS"


class Guest:
    """One instance; :func:`boot` makes it.

    :ivar booted_at: of the monotonic clock.
    """

    def __init__(
        self,
        guest_id: str,
        key: str,
        build: Build,
        clients: Datastore,
        injected: Mapping[str, str],
        root: Path,
        container: Container,
        wire: Wire,
        conductor: Conductor,
    ) -> None:
        self.id = guest_id
        self._key = key
        self._build = build
        self._clients = clients
        self._injected = injected
        self._root = root
        self.booted_at = time.monotonic()
        self._container = container
        self._wire = wire
        self._conductor = conductor

    def wait_until_answers(self, timeout: float = FIRST_ANSWER) -> float:
        """Wait for the answer to a ping, which waits in the guest's queue; seconds since the boot."""
        ping = self._wire.begin(self.id, "rpc_ping", key=self._key, timeout=timeout)
        assert ping.result() is True
        return time.monotonic() - self.booted_at

    def wait_until_healthy(self) -> None:
        """Wait until the conductor has heard so."""
        self._conductor.wait_for_status(self.id, "healthy", timeout=PREPARED)

    def path(self, inside: Path) -> Path:
        """Where a path of the guest is for everybody else."""
        return self._root / inside.relative_to("/")

    def inject(self) -> None:
        """Write the control plane's files, as somebody else than cloud-init may do when the system is up."""
        for name, text in self._injected.items():
            path = self.path(Path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)

    def describe(self) -> dict[str, Any]:
        """Its capability document, of its own namespace, where the control plane has no call for it."""
        return dict(self._wire.call(self.id, "describe", namespace=NAMESPACE, key=self._key, timeout=60))

    def prepare(self, token: str, **arguments: Any) -> Report:
        """Have it made an instance; what the conductor hears of the end."""
        databases = [{"_name": database}] if (database := self._account.database) else []
        given = {
            "packages": "",
            "databases": databases,
            "memory_mb": 512,
            "users": [{"_name": USER, "_password": PASSWORD, "_databases": databases}],
            "config_contents": "",
            "ds_version": self._build.version or self._build.datastore.version,
        }
        context = request_context(f"{NOTIFICATION}InstanceCreate", auth_token=token)
        self._wire.cast(self.id, "prepare", given | arguments, version="1.1", context=context, key=self._key)
        return self._ended(0)

    def back_up(self, store: dict[str, str], token: str) -> dict[str, Any]:
        """Have a backup made; what was reported of it."""
        heard = len(self._conductor.reports)
        info = {
            "id": str(uuid.uuid4()),
            "instance_id": self.id,
            "backup_type": "full",
            "parent": None,
            "datastore": self._build.name,
            "swift_container": None,
            **store,
        }
        context = request_context(f"{NOTIFICATION}BackupCreate", auth_token=token)
        self._wire.cast(self.id, "create_backup", {"backup_info": info}, context=context, key=self._key)
        ended = self._ended(heard)
        assert ended.method == "notify_end", ended.args
        return dict(self._conductor.of(self.id, "update_backup")[-1].args)

    def write(self, key: str, value: str) -> None:
        """As the user, over the network."""
        self._clients.write(self._account, key, value)

    def read(self, key: str) -> str | None:
        """What the user reads over the network."""
        return self._clients.read(self._account, key)

    def run(self, *argv: str) -> str:
        """What a command says inside."""
        done = self._container.run(list(argv), directory=Path("/"), timeout=60)
        return done.stdout + done.stderr

    def processes(self) -> set[str]:
        """Names of the programs that run inside."""
        return set(self.run("ps", "-e", "-o", "comm=").split())

    def journal(self) -> str:
        """What its agent said."""
        return self.run("journalctl", "--no-pager", "--unit=guestagent", "--output=cat")

    @functools.cached_property
    def _account(self) -> Account:
        """The user, in a database where there are some."""
        calls = {call["name"] for call in self.describe()["calls"] if call["supported"]}
        return Account(USER, PASSWORD, DATABASE if "create_database" in calls else None)

    def _ended(self, after: int) -> Report:
        return self._conductor.wait_for_method(self.id, "notify_end", "notify_exc_info", timeout=PREPARED, after=after)


@contextlib.contextmanager
def boot(
    build: Build,
    files: Path,
    scratch: Path,
    broker: Rabbit,
    swift: Swift | None,
    wire: Wire,
    conductor: Conductor,
    change: Callable[[Path], object] = lambda _root: None,
    *,
    late: bool = False,
) -> Iterator[Guest]:
    """Boot the files of an image.

    :param build: what it was made of.
    :param files: where they are mounted; they stay as they are.
    :param change: is given the guest's own copy before the boot.
    :param late: the control plane's files are not among those that cloud-init writes; see :meth:`Guest.inject`.
    """
    guest_id, key = str(uuid.uuid4()), secrets.token_urlsafe(24)
    conductor.keys[guest_id] = key
    wire.declare_guest(guest_id)
    with Network() as network, changed(files, scratch) as root:
        network.open_door(broker.port)
        if swift is not None:
            network.open_door(swift.port)
        clients = _clients(build, scratch, network)
        injected = drive.files(guest_id, build.name, key, agent_options(build, network.host, broker, wire.exchange))
        seed = root / "var/lib/cloud/seed/config_drive"
        drive.write(seed, guest_id, drive.user_data({} if late else injected))
        # cloud-init would look for the port in /sys, where systemd-nspawn shows those of another namespace.
        (root / "etc/systemd/network/10-cable.network").write_text(network.settings)
        # The image's disk is not there; its files are.
        (root / "etc/fstab").write_text("")
        change(root)
        arguments = [f"--network-namespace-path={network.namespace}", "--capability=CAP_NET_ADMIN"]
        with booted(root, arguments, scratch / "console", until=READY if late else BEGUN) as container:
            guest = Guest(guest_id, key, build, clients, injected, root, container, wire, conductor)
            try:
                yield guest
            except BaseException:
                print((scratch / "console").read_text(errors="replace")[-3000:])
                print(guest.journal()[-6000:])
                raise


def _clients(build: Build, scratch: Path, network: Network) -> Datastore:
    """The kit's, which look for the server at a port of this machine."""
    directory = scratch / "clients"
    directory.mkdir()
    clients = build.datastore(directory)
    network.let_in(int(str(clients.options()[build.name]["port"])), build.port)
    return clients


def agent_options(build: Build, host: str, broker: Rabbit, exchange: str) -> Groups:
    """The operator's file for agents."""
    return {
        "DEFAULT": {
            "transport_url": f"rabbit://{broker.user}:{broker.password}@{host}:{broker.port}/",
            "control_exchange": exchange,
        },
        build.name: {"device_path": ""},
    }


def loaded_plugins(guest: Guest) -> set[str]:
    """Packages of plugins whose code is in the memory of the agent's process: code knows the file that it came from."""
    return set(guest.run("/usr/bin/python3", "-c", SCAN, guest.run(*AGENT_PID).strip()).split())


def wait_until_system_is(guest: Guest, state: str) -> None:
    """Wait for systemd's word of the whole system."""
    eventually(
        lambda: guest.run("systemctl", "is-system-running").strip() == state,
        timeout=60,
        message=lambda: guest.run("systemctl", "--failed", "--no-pager"),
    )
