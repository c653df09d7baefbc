"""Who is measured: the floor, the agent and Trove's own agent, each with the files that configure it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from guestagent.conformance.agent import Groups, render
from tests.support import mariadb
from tests.support.environments import CONSTRAINTS, build_wheel, environment

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
    :ivar holds_connection: it serves a prepared database, and is measured with a connection to it.
    """

    name: str
    python: Path
    command: Sequence[Path]
    directory: Path
    key: str | None = None
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

    def configure(self, transport_url: str, own_options: Groups) -> None:
        """Write its files: what a control plane injects into every guest, and its own options."""
        injected: dict[str, object] = {
            "guest_id": self.guest_id,
            "datastore_manager": "mariadb",
            "datastore_version": "10.11",
            "control_exchange": EXCHANGE,
            "transport_url": transport_url,
        }
        if self.key:
            injected["instance_rpc_encr_key"] = self.key
        files = self.directory / "conf.d"
        files.mkdir(parents=True)
        (files / "10-injected.conf").write_text(render({"DEFAULT": injected}))
        (files / "20-own.conf").write_text(render(own_options))


def assemble(directory: Path, transport_url: str) -> list[Peer]:
    """Everyone, in the order in which they take turns, installed and configured.

    The environments lie in ``.work`` in the tree, never in the machine's ``/tmp``: stevedore keeps no
    cache of entry points for an interpreter that lies there, and every start would pay for it.

    :param directory: holds their homes; short and reachable for every account.
    """
    floor = environment("floor", ["oslo.messaging", "oslo.service[threading]"])
    agent = environment("agent", [str(build_wheel(folder)) for folder in (".", "datastores/mariadb")])
    trove = environment("trove", ["trove==26.0.0"], TROVE_CONSTRAINTS)
    agent_command = [agent.with_name("guestagent")]
    trove_command = [trove, SERVERS / "trove_guest.py"]
    peers = [
        Peer(FLOOR, floor, [floor, SERVERS / "floor.py"], directory / FLOOR),
        Peer(AGENT, agent, agent_command, directory / AGENT),
        Peer(SECURED_AGENT, agent, agent_command, directory / SECURED_AGENT, key=KEY, holds_connection=True),
        Peer(TROVE, trove, trove_command, directory / TROVE),
        Peer(SECURED_TROVE, trove, trove_command, directory / SECURED_TROVE, key=KEY),
    ]
    for peer in peers:
        peer.configure(transport_url, _own_options(peer))
    return peers


def _own_options(peer: Peer) -> Groups:
    if peer.name in (TROVE, SECURED_TROVE):
        return {"DEFAULT": {"datastore_registry_ext": "mariadb:trove_manager.Manager"}}
    if peer.name in (AGENT, SECURED_AGENT):
        return _agent_options(peer.directory)
    return {}


def _agent_options(home: Path) -> Groups:
    (home / "database").mkdir(parents=True)
    return {
        "image": {"datastore": mariadb.DATASTORE},
        "agent": {
            "state_dir": home / "state",
            "run_dir": home / "run",
            "storage_dir": home / "storage",
            "process_control": "plain",
        },
        **mariadb.options(home / "database"),
    }
