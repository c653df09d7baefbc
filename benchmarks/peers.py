"""Who is measured: the floor, the agent and Trove's own agent, each with the files that configure it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guestagent.conformance.agent import Groups, render
from tests.support import mariadb
from tests.support.environments import CONSTRAINTS, build_wheel, environment
from tests.support.family import Family

SERVERS = Path(__file__).with_name("servers")
TROVE_CONSTRAINTS = CONSTRAINTS.parent / "interop" / "constraints.txt"
EXCHANGE = "trove"
KEY = "benchmark-key-benchmark-key-1234"
FLOOR, AGENT, SECURED_AGENT, TROVE, SECURED_TROVE = "floor", "agent", "agent-secured", "trove", "trove-secured"


@dataclasses.dataclass(frozen=True)
class Peer:
    """One server to be measured.

    :ivar name: as the report calls it.
    :ivar python: the interpreter of the environment that it is installed in.
    :ivar command: starts it.
    :ivar directory: its home, with the files that configure it.
    :ivar key: encrypts its messages.
    :ivar family: of the agent; none: it serves no database of the tree.
    :ivar holds_connection: it serves a prepared database, and is measured with a connection to it.
    """

    name: str
    python: Path
    command: Sequence[Path]
    directory: Path
    key: str | None = None
    family: Family | None = None
    holds_connection: bool = False

    @property
    def guest_id(self) -> str:
        """The guest that it serves."""
        return f"benchmark-{self.name}"

    @property
    def environment(self) -> Path:
        """The environment that it is installed in."""
        return self.python.parent.parent

    @property
    def argv(self) -> list[str]:
        """The command with its options."""
        return [*map(str, self.command), "--config-dir", str(self.directory / "conf.d")]

    def configure(self, transport_url: str) -> None:
        """Write its files: what a control plane injects into every guest, and its own options."""
        injected: dict[str, object] = {
            "guest_id": self.guest_id,
            "datastore_manager": (self.family or mariadb.FAMILY).datastore,
            "datastore_version": "10.11",
            "control_exchange": EXCHANGE,
            "transport_url": transport_url,
        }
        if self.key:
            injected["instance_rpc_encr_key"] = self.key
        files = self.directory / "conf.d"
        files.mkdir(parents=True)
        (files / "10-injected.conf").write_text(render({"DEFAULT": injected}))
        (files / "20-own.conf").write_text(render(_own_options(self)))


def assemble(directory: Path, transport_url: str) -> list[Peer]:
    """Everyone, in the order in which they take turns, installed and configured.

    The environments lie in ``.work`` in the tree, never in the machine's ``/tmp``: stevedore keeps no
    cache of entry points for an interpreter that lies there, and every start would pay for it.

    :param directory: holds their homes; short and reachable for every account.
    """
    agent = environment("agent", [str(build_wheel(folder)) for folder in (".", "datastores/mariadb")])
    trove = environment("trove", ["trove==26.0.0"], TROVE_CONSTRAINTS)
    trove_command = [trove, SERVERS / "trove_guest.py"]
    peers = [
        floor(directory),
        agent_of(mariadb.FAMILY, agent, directory),
        agent_of(mariadb.FAMILY, agent, directory, name=SECURED_AGENT, key=KEY, holds_connection=True),
        Peer(TROVE, trove, trove_command, directory / TROVE),
        Peer(SECURED_TROVE, trove, trove_command, directory / SECURED_TROVE, key=KEY),
    ]
    for peer in peers:
        peer.configure(transport_url)
    return peers


def floor(directory: Path) -> Peer:
    """What nobody who speaks to the control plane with its libraries can do without."""
    python = environment("floor", ["oslo.messaging", "oslo.service[threading]"])
    return Peer(FLOOR, python, [python, SERVERS / "floor.py"], directory / FLOOR)


def agent_of(family: Family, python: Path, directory: Path, name: str = AGENT, **more: Any) -> Peer:
    """The agent with a family's datastore.

    :param python: of the environment that has both.
    """
    return Peer(name, python, [python.with_name("guestagent")], directory / name, family=family, **more)


def _own_options(peer: Peer) -> Groups:
    if peer.name in (TROVE, SECURED_TROVE):
        return {"DEFAULT": {"datastore_registry_ext": "mariadb:trove_manager.Manager"}}
    return _agent_options(peer.directory, peer.family) if peer.family else {}


def _agent_options(home: Path, family: Family) -> Groups:
    (home / "database").mkdir(parents=True)
    return {
        "image": {"datastore": family.datastore},
        "agent": {
            "state_dir": home / "state",
            "run_dir": home / "run",
            "storage_dir": home / "storage",
            "process_control": "plain",
        },
        **{group: dict(values) for group, values in family.options(home / "database").items()},
    }
