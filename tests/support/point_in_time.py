"""An instance whose logs are archived, and what it was at a moment of its past, whatever its database is."""

import abc
import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from guestagent.conformance.child import processes
from guestagent.conformance.code_path import PATH
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from guestagent.contract.operations import CodePath
from tests.support.backed_up import BackedUpInstance, backup_info

World = tuple[Path, Rabbit, str, Wire, Conductor]
"""A place for instances, and a control plane."""

Instance = TypeVar("Instance", bound=BackedUpInstance)


class Past(abc.ABC, Generic[Instance]):
    """An instance that was backed up, and what has been said in it since: each word in a transaction of its own.

    :cvar strategy: archives its logs.
    :cvar query: asks a restored server for all that was said.
    :cvar replaying: what exists below the volume while logs are replayed, and not before.
    :param kind: of its instances.

    :ivar backup: what was reported of its first backup, when :meth:`begin` has made it.
    """

    strategy: ClassVar[str]
    query: ClassVar[str]
    replaying: ClassVar[str]

    def __init__(self, world: World, kind: Callable[..., Instance]) -> None:
        self.directory, *self._about = world
        self._kind = kind
        self._made: list[Instance] = []
        self.instance = self.make()
        self.backup: dict[str, Any] = {}

    def make(self) -> Instance:
        """Another instance, not started; it reaches the same store and has the keys of the first one."""
        directory = self.directory / self._kind.__name__ / str(len(self._made))
        made = self._kind(directory, self.directory / "storage", *self._about)
        groups = made.agent.files["machine.conf"]
        groups["image"]["archive_strategies"] = self.strategy
        groups["backup"]["archive_purge_after"] = 0
        if self._made:
            made.keys.write_text(self.instance.keys.read_text())
        self._made.append(made)
        return made

    @abc.abstractmethod
    def say(self, *words: str) -> str:
        """Say something; where the log stands after the last word."""

    @abc.abstractmethod
    def heard(self, instance: Instance | None = None) -> str:
        """All that was said, as the first instance knows it, or another one."""

    def archive(self) -> dict[str, Any]:
        """Have what is closed archived; how that went."""
        return self.own("archive_logs")

    def window(self) -> dict[str, Any]:
        """What can be restored."""
        found: dict[str, Any] = self.own("recovery_window")["window"]
        return found

    def gap(self, backup: dict[str, Any] | None = None) -> str | None:
        """What is said to be missing behind the first backup, or another one."""
        wanted = (backup or self.backup)["backup_id"]
        [found] = [one["gap"] for one in self.window()["backups"] if one["id"] == wanted]
        return None if found is None else str(found)

    def own(self, method: str) -> dict[str, Any]:
        """Ask something of the agent's own namespace."""
        found: dict[str, Any] = self.instance.wire.call(self.instance.id, method, namespace="guestagent", timeout=90)
        return found

    def archived_logs(self) -> str:
        """Where the log stands, when there are logs enough to miss one in their middle."""
        for _ in range(3):
            place = self.say("more")
            assert self.archive()["state"] == "good"
        return place

    def restart_agent(self, **options: object) -> None:
        """Start it with other options of ``[backup]``."""
        self.instance.agent.files["machine.conf"]["backup"].update(options)
        self.instance.agent.restart(self.instance.wire)

    def ctl(self, *typed: str, code: int = 0) -> str:
        """What ``guestagentctl backups`` says on the first instance."""
        return self.instance.ctl(*typed, code=code)

    def recovered(self, point: str, code: int = 0, backup: dict[str, Any] | None = None) -> str:
        """What was said until then, as a restored server knows it."""
        backup_id = (backup or self.backup)["backup_id"]
        roomy = self.directory / "r"
        roomy.mkdir(exist_ok=True)
        typed = ["restore-test", backup_id, "--query", self.query, "--directory", str(roomy), "--to", point]
        said = self.ctl(*typed, code=code)
        assert list(roomy.iterdir()) == []
        return said.splitlines()[-1]

    def volume_of(self, instance: Instance) -> Path:
        """The volume of an instance's data."""
        return Path(str(instance.agent.files["machine.conf"][instance.datastore]["mount_point"]))

    def holds_nothing_that_would_start(self, instance: Instance) -> bool:
        """Whether no data are on the volume of an instance, be they half made."""
        volume = self.volume_of(instance)
        return not (volume / "data").exists() and not list(volume.glob(".*unfinished*"))

    def check_death_in_replay(self, backup: dict[str, Any], point: str) -> None:
        """What begins with all that was said, and whose agent dies in that, has it in the end, or nothing at all."""
        made, ended = self._killed_while_it_replays(backup, point)
        if PATH is CodePath.CONVERGENCE:
            assert ended.method == "notify_end"
            assert self.heard(made) == self.heard()
        else:
            assert ended.method == "notify_exc_info"
            assert self.holds_nothing_that_would_start(made)

    def _killed_while_it_replays(self, backup: dict[str, Any], point: str) -> tuple[Instance, Report]:
        made = self.make()
        volume = self.volume_of(made)
        made.wire.declare_guest(made.id)
        arguments = {
            "packages": "",
            "databases": [],
            "memory_mb": 512,
            "users": [],
            "config_contents": made.flavour,
            "ds_version": made.version,
            "backup_info": backup_info(backup) | {"recover_to": point},
        }
        context = request_context("trove.common.notification.DBaaSInstanceCreate")
        made.wire.cast(made.id, "prepare", arguments, version="1.1", context=context)
        with self.withheld():
            made.agent.start()
            eventually((volume / self.replaying).exists, timeout=60)
            made.agent.kill()
        assert not (volume / "data").exists()
        eventually(lambda: not processes(volume), timeout=20)
        made.agent.boot(made.wire)
        return made, made.conductor.wait_for_method(made.id, "notify_end", "notify_exc_info", timeout=90)

    @contextlib.contextmanager
    def withheld(self) -> Iterator[None]:
        """Who reads the last of the archived logs has to wait until the block has ended."""
        log = max(self.logs.iterdir()) / "00000001"
        kept = log.rename(self.directory / "kept")
        os.mkfifo(log)
        try:
            yield
        finally:
            waiting = os.open(log, os.O_RDWR | os.O_NONBLOCK)
            kept.rename(log)
            os.close(waiting)

    @contextlib.contextmanager
    def without(self, log: Path) -> Iterator[None]:
        """An archived log may be damaged or removed in the block, and is whole again after it."""
        kept = self.directory / "kept"
        shutil.copytree(log, kept)
        try:
            yield
        finally:
            shutil.rmtree(log, ignore_errors=True)
            shutil.move(kept, log)

    @property
    def logs(self) -> Path:
        """The directory of the archived logs."""
        return self.instance.storage / "database_backups" / "_logs" / self.instance.id

    def begun(self) -> list[Path]:
        """What is in the store of logs that are not whole."""
        return [path for path in self.logs.iterdir() if path.is_dir() and not list(path.glob("*.json"))]

    @contextlib.contextmanager
    def without_a_store(self) -> Iterator[None]:
        """The store is away as long as the block lasts."""
        storage = self.instance.storage
        away = storage.with_name("away")
        storage.rename(away)
        storage.write_text("no directory")
        try:
            yield
        finally:
            storage.unlink()
            away.rename(storage)

    def close(self) -> None:
        """End everything."""
        for made in self._made:
            made.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {made.id}\n{made.agent.tail(200)}")


AnyPast = TypeVar("AnyPast", bound=Past[Any])


@contextlib.contextmanager
def past_of(rabbit: Rabbit, made: Callable[[World], AnyPast]) -> Iterator[AnyPast]:
    """A past in a world of its own, which ends with the block."""
    rabbit.start()
    exchange = f"trove-{uuid.uuid4().hex[:8]}"
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(reachable_directory())
        wire = stack.enter_context(Wire(rabbit, exchange))
        conductor = stack.enter_context(Conductor(rabbit, exchange))
        past = made((directory, rabbit, exchange, wire, conductor))
        stack.callback(past.close)
        yield past


def damage(log: Path) -> None:
    """Change a byte in the middle of an archived log."""
    content = bytearray((log / "00000001").read_bytes())
    content[len(content) // 2] ^= 1
    (log / "00000001").write_bytes(content)
