"""A guest whose data are one file, and its backups."""

import contextlib
import os
import random
import signal
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.backup import reader
from guestagent.backup.catalog import Catalog
from guestagent.backup.keyring import Keyring
from guestagent.backup.settings import Settings
from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from guestagent.contract.context import RequestContext
from guestagent.storage.local import LocalStorage

KEY = "0123456789abcdef" * 4
SIZE = 3_000_000
SEGMENT = 1 << 17
CONTAINER = "database_backups"
WORKER = b"guestagent.backup.worker"


class Hoarder:
    """The guest with its agent.

    :param limit: bytes of its backups that go to the store in a second; 0: as many as can.
    """

    def __init__(
        self, directory: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor, limit: int = 0
    ) -> None:
        self.wire, self.conductor = wire, conductor
        self.agent = AgentProcess(
            directory / "agent",
            str(uuid.uuid4()),
            transport_url=broker.url,
            exchange=exchange,
            datastore="hoarder",
            options={
                "image": {"backup_strategies": "hoard"},
                "backup": {"encryption_keys": f"first:{KEY}", "segment_size": SEGMENT, "bandwidth_limit": limit},
            },
        )
        self.agent.state_dir.mkdir(mode=0o700)
        self.backup_id = ""
        self.write(1)

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, directory: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor, limit: int = 0
    ) -> Iterator[Self]:
        """One whose agent runs."""
        made = cls(directory, broker, exchange, wire, conductor, limit)
        wire.declare_guest(made.agent.guest_id)
        made.agent.boot(wire)
        try:
            yield made
        finally:
            made.agent.close()
            # Shown by pytest beside a test that failed.
            print(made.agent.tail(100))

    @property
    def container(self) -> Path:
        """Where its store is."""
        return self.agent.storage_dir / CONTAINER

    def content(self, seed: int) -> bytes:
        """Data that no compressor makes smaller."""
        return random.Random(seed).randbytes(SIZE)

    def write(self, seed: int) -> None:
        """Replace the data, as databases do: under a new name."""
        unfinished = self.agent.state_dir / "unfinished"
        unfinished.write_bytes(self.content(seed))
        unfinished.rename(self.agent.state_dir / "data")

    def hurry(self) -> None:
        """No limit any more, for workers that start from now on."""
        self.agent.files["machine.conf"]["backup"]["bandwidth_limit"] = 0
        self.agent.write_files()

    def ask(self, backup_id: str | None = None, **info: Any) -> int:
        """Ask for a backup; the number of reports that the conductor has heard before."""
        heard = len(self.conductor.reports)
        self.backup_id = backup_id or str(uuid.uuid4())
        given = {"id": self.backup_id, "storage_driver": "local", **info}
        context = request_context("trove.common.notification.DBaaSBackupCreate")
        self.wire.cast(self.agent.guest_id, "create_backup", {"backup_info": given}, context=context)
        return heard

    def begin(self) -> None:
        """Ask for a backup, and return when some of it is in the store."""
        self.ask()
        eventually(lambda: len(self.segments()) >= 3, timeout=30, message=self.agent.tail)

    def end(self, heard: int) -> Report:
        """What the conductor hears of the end."""
        return self.conductor.wait_for_method(
            self.agent.guest_id, "notify_end", "notify_exc_info", timeout=60, after=heard
        )

    def made(self, **info: Any) -> Mapping[str, Any]:
        """Make a backup; what the conductor was told of it."""
        heard = self.ask(**info)
        assert self.end(heard).method == "notify_end"
        return self.conductor.of(self.agent.guest_id, "update_backup")[-1].args

    def states(self, heard: int) -> list[Any]:
        """The states of backups that were told."""
        return [one.args["state"] for one in self.conductor.reports[heard:] if one.method == "update_backup"]

    def segments(self) -> dict[str, tuple[int, int]]:
        """What is in the store of the backup, and which file each object is: one that is put again is another one."""
        found = {}
        for path in sorted((self.container / self.backup_id).glob("0*")):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.stat().st_ino, path.stat().st_mtime_ns
        return found

    def store(self) -> dict[str, bytes]:
        """Everything in the store."""
        paths = [path for path in self.agent.storage_dir.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.agent.storage_dir)): path.read_bytes() for path in paths}

    def stream(self, backup_id: str | None = None) -> bytes:
        """What is in a backup with all that it builds on."""
        conf = cfg.ConfigOpts()
        runtime_options.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("storage_dir", str(self.agent.storage_dir), "agent")
        storage, context = LocalStorage(conf), RequestContext()
        settings = Settings(keys=Keyring({"first": bytes.fromhex(KEY)}))
        chain = Catalog(storage, context, CONTAINER).chain_of(backup_id or self.backup_id)
        return b"".join(chunk for one in chain for chunk in reader.read(one, storage, context, CONTAINER, settings))

    def workers(self) -> list[int]:
        """The processes that make its backups."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes()
                if WORKER in line and str(self.agent.directory).encode() in line:
                    found.append(int(path.parent.name))
        return found

    def kill_worker(self) -> None:
        """Kill what makes the backup."""
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left(self) -> list[Path]:
        """What is there only while a backup is made."""
        names = [self.agent.state_dir / name for name in ("draft", "scratch")]
        return [path for path in (*names, *self.agent.storage_dir.rglob(".unfinished-*")) if path.exists()]
