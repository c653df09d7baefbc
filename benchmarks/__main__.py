"""``python -m benchmarks``: what the agent costs; see docs/benchmarks.md."""

import argparse
import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import database, measures
from benchmarks.arguments import add_output, positive
from benchmarks.backup.families import DATASTORES
from benchmarks.budgets import BUDGETS
from benchmarks.peers import Peer, assemble
from benchmarks.report import Figures, Report
from benchmarks.weight import weigh
from guestagent.conformance.rabbit import Rabbit


def main() -> None:
    """Measure everyone in turn, print the table and write the JSON."""
    settings = _parse()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(_reachable_directory())
        broker = stack.enter_context(Rabbit(directory))
        _say("making the environments")
        peers = assemble(directory, broker.url)
        for peer in peers:
            if peer.holds_connection:
                _say(f"{peer.name}: preparing the database")
                stack.enter_context(database.prepared(peer, broker))
        figures = _measure(peers, broker, settings)
    how = {
        "starts": settings.starts,
        "rounds": settings.rounds,
        "calls": settings.calls,
        "idle_seconds": settings.idle_seconds,
    }
    report = Report(how, [peer.name for peer in peers], figures)
    settings.output.write_text(json.dumps(report.document(BUDGETS), indent=1) + "\n")
    print(report.table(BUDGETS), flush=True)
    # In processes of their own: what is in the memory of this one would slow them, and does not slow an agent.
    for module, *options in (["journal"], *(["backup", f"--datastore={name}"] for name in DATASTORES)):
        command = [sys.executable, "-m", f"benchmarks.{module}", *options, "--output", str(settings.output)]
        subprocess.run(command, check=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=5, help="turns of everyone (5)")
    parser.add_argument("--starts", type=positive, default=15, help="starts of everyone (15)")
    parser.add_argument("--calls", type=positive, default=5000, help="calls in every turn (5000)")
    parser.add_argument("--idle-seconds", type=positive, default=60, help="how long idle peers are watched (60)")
    add_output(parser)
    return parser.parse_args()


@contextlib.contextmanager
def _reachable_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        # The database runs as an account of its own.
        directory.chmod(0o755)
        yield directory


def _measure(peers: Sequence[Peer], broker: Rabbit, settings: argparse.Namespace) -> Figures:
    figures = Figures()
    for peer in peers:
        figures.add(peer.name, dataclasses.asdict(weigh(peer.environment)))
        _say(f"{peer.name}: a start that does not count, to fill the caches")
        measures.take_start(peer, broker)
    for number in range(settings.starts):
        _say(f"start {number + 1} of {settings.starts}")
        for peer in peers:
            figures.add(peer.name, {"start_ms": measures.take_start(peer, broker)})
    for number in range(settings.rounds):
        for peer in peers:
            _say(f"round {number + 1} of {settings.rounds}: {peer.name}")
            figures.add(peer.name, dataclasses.asdict(measures.take_turn(peer, broker, settings.calls)))
    _say(f"everyone idle for {settings.idle_seconds} s")
    for name, value in measures.measure_idle(peers, broker, settings.idle_seconds).items():
        figures.add(name, {"idle_cpu_ms_per_s": value})
    return figures


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
