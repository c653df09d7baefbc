"""The measurements of backups, one after the other."""

import contextlib
import functools
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.backup.agent import Agent
from benchmarks.backup.family import Family, Way
from benchmarks.backup.instance import Instance
from benchmarks.backup.orders import orders
from benchmarks.backup.report import BackupReport
from benchmarks.backup.traffic import Traffic
from benchmarks.budgets import ENCRYPTING_WORKER, QUIET, WORKER
from benchmarks.process import MIB

DISK: Final = "/var/tmp"
"""Never in memory, whatever the machine has in ``/tmp``."""
QUIET_SECONDS: Final = 5.0
"""Queries without a backup, in each round."""


def measure(family: Family, rounds: int | None, size: int) -> BackupReport:
    """Measure everyone in turn.

    :param rounds: none: one for every order that there is.
    :param size: bytes of the data, at least.
    """
    with _directory() as directory, family.instance(directory / "instance") as instance:
        _say(f"{family.name}'s backups: making {size // MIB} MiB of data")
        instance.fill(size)
        bare = {name: make(directory / name) for name, make in family.bare.items()}
        agents = {
            name: Agent(directory / name, family.strategy, encrypted=name == ENCRYPTING_WORKER)
            for name in (WORKER, ENCRYPTING_WORKER)
        }
        ways: Mapping[str, Way] = {**bare, **agents}
        turns = orders(list(ways))
        rounds = rounds or len(turns)
        report = BackupReport({"rounds": rounds}, instance.size, family.columns, family.budgets)
        _say("one of each that does not count, to fill the caches")
        for way in ways.values():
            _take_turn(way, instance)
        for number, order in enumerate(itertools.islice(itertools.cycle(turns), rounds), 1):
            _say(f"round {number} of {rounds}")
            for name in order:
                report.add(name, _take_turn(ways[name], instance))
            if family.ask:
                ask = functools.partial(family.ask, instance)
                report.add(QUIET, _with_traffic(ask, lambda: time.sleep(QUIET_SECONDS)))
                for name in order:
                    report.add(name, _with_backup(instance, ways[name], ask))
        for name, agent in agents.items():
            report.add(name, {"peak_mib": agent.peak})
        for name, make in family.slow.items():
            _say(f"{name}, once")
            report.add(name, _back_up(make(directory / name), instance))
    return report


def _take_turn(way: Way, instance: Instance) -> dict[str, float]:
    """Back up and restore once.

    :returns: MiB of the data in a second, seconds of processor time for a GiB of them, and what was stored.
    """
    found = _back_up(way, instance)
    _forget_cached(way.files)
    with instance.restored() as server:
        seconds, cpu = _timed(lambda: way.restore(server))
    way.forget()
    return found | _of_data("restore", instance, seconds, cpu)


def _back_up(way: Way, instance: Instance) -> dict[str, float]:
    with instance.backed_up() as server:
        seconds, cpu = _timed(lambda: way.back_up(server))
    stored = sum(path.stat().st_size for path in way.files)
    return {**_of_data("backup", instance, seconds, cpu), "stored_mib": stored / MIB}


def _of_data(what: str, instance: Instance, seconds: float, cpu: float) -> dict[str, float]:
    mib = instance.size / MIB
    return {f"{what}_mib_s": mib / seconds, f"{what}_cpu_s": cpu / mib * 1024}


def _with_backup(instance: Instance, way: Way, ask: Callable[[], Traffic]) -> dict[str, float]:
    with instance.backed_up() as server:
        found = _with_traffic(ask, lambda: way.back_up(server))
    way.forget()
    return found


def _with_traffic(ask: Callable[[], Traffic], work: Callable[[], None]) -> dict[str, float]:
    """What queries get done while work is done."""
    os.sync()
    with ask() as traffic:
        work()
    return {"queries_per_s": traffic.queries_per_s, "p95_ms": traffic.p95_ms}


def _forget_cached(files: Sequence[Path]) -> None:
    """Let nobody find in memory what a restore has to read: it is mostly made on another machine."""
    for path in files:
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """The seconds that work takes, and those of the processors in the processes that it has started."""
    # Nobody's leavings are written in somebody else's time.
    os.sync()
    begun, cpu = time.perf_counter(), _cpu()
    work()
    return time.perf_counter() - begun, _cpu() - cpu


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir=DISK) as name:
        directory = Path(name)
        # The database runs as an account of its own.
        directory.chmod(0o755)
        (directory / "instance").mkdir()
        yield directory


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
