"""An instance whose backups are made and restored over the wire, whatever its database is."""

import abc
import contextlib
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, ClassVar

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.child import plain_environment
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context

NOTIFICATION = "trove.common.notification.DBaaSBackupCreate"
PASSWORD = "Wee/sleekit 1"
KEY = "0123456789abcdef" * 4
ROWS = 2000


class BackedUpInstance(abc.ABC):
    """An instance, its agent and its server.

    :cvar datastore: what the image declares.
    :cvar strategy: of its backups.
    :cvar version: what the control plane asks for.
    :cvar flavour: the base configuration.
    :param storage: the directory of the storage strategy ``local``, shared with other instances.
    :param store: what the control plane says of the store, and the token of its requests; none: ``local``.
    :param key: of the instance's messages; none: they travel in clear.
    """

    datastore: ClassVar[str]
    strategy: ClassVar[str]
    version: ClassVar[str]
    flavour: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        storage: Path,
        broker: Rabbit,
        exchange: str,
        wire: Wire,
        conductor: Conductor,
        store: dict[str, Any] | None = None,
        token: str | None = None,
        key: str | None = None,
    ) -> None:
        database = directory / "database"
        database.mkdir(parents=True)
        options = self.options(database)
        self.wire, self.conductor, self.storage = wire, conductor, storage
        self.store = store or {"storage_driver": "local"}
        self.token = token
        self.port = int(str(options[self.datastore]["port"]))
        self.keys = directory / "keys"
        self.keys.write_text(f"first {KEY}\n")
        self.keys.chmod(0o600)
        self.agent = AgentProcess(
            directory / "agent",
            str(uuid.uuid4()),
            transport_url=broker.url,
            exchange=exchange,
            datastore=self.datastore,
            key=key,
            options=options
            | {
                "agent": {"volume_wait": 0, "storage_dir": storage},
                "image": {
                    "backup_strategies": self.strategy,
                    "storage_strategies": f"local,{self.store['storage_driver']}",
                },
                "backup": {"encryption_key_file": self.keys, "segment_size": 1 << 20},
            },
        )
        if key is not None:
            conductor.keys[self.id] = key

    @property
    def id(self) -> str:
        return self.agent.guest_id

    def ctl_argv(self, *typed: str) -> list[str]:
        """``guestagentctl backups``, as it is typed on the guest."""
        argv = [sys.executable, "-m", "guestagent.cmd.guestagentctl", "backups", *typed]
        return [*argv, "--config-dir", str(self.agent.config_dir)]

    def ctl(self, *typed: str, code: int = 0) -> str:
        """What the program says that ends with a code; of an error, its sentence."""
        done = subprocess.run(
            self.ctl_argv(*typed),
            env=plain_environment(self.agent.directory),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def prepare(self, **arguments: Any) -> Report:
        """Have it prepared; what the conductor hears of the end."""
        self.wire.declare_guest(self.id)
        given = {
            "packages": "",
            "databases": [{"_name": "shop"}],
            "memory_mb": 512,
            "users": [{"_name": "app", "_password": PASSWORD, "_databases": [{"_name": "shop"}]}],
            "config_contents": self.flavour,
            "ds_version": self.version,
        }
        context = request_context("trove.common.notification.DBaaSInstanceCreate", auth_token=self.token)
        heard = len(self.conductor.reports)
        self.wire.cast(self.id, "prepare", given | arguments, version="1.1", context=context, key=self.agent.key)
        if not self.agent.running:
            self.agent.boot(self.wire)
        return self.conductor.wait_for_method(self.id, "notify_end", "notify_exc_info", timeout=90, after=heard)

    def back_up(self, parent: dict[str, Any] | None = None, backup_id: str | None = None) -> list[Report]:
        """Make a backup; what the conductor hears of it until its end."""
        heard = len(self.conductor.reports)
        info = {
            "id": backup_id or str(uuid.uuid4()),
            "instance_id": self.id,
            "backup_type": "incremental" if parent else "full",
            "parent": parent and {"location": parent["location"], "checksum": parent["checksum"]},
            "datastore": self.datastore,
            "swift_container": None,
            **self.store,
        }
        context = request_context(NOTIFICATION, auth_token=self.token)
        self.wire.cast(self.id, "create_backup", {"backup_info": info}, context=context, key=self.agent.key)
        self.conductor.wait_for_method(self.id, "notify_end", "notify_exc_info", timeout=90, after=heard)
        return [one for one in self.conductor.reports[heard:] if one.instance_id == self.id and one.status is None]

    @abc.abstractmethod
    def options(self, directory: Path) -> dict[str, dict[str, object]]:
        """Of its server, with everything in one directory."""

    @abc.abstractmethod
    def fill(self, table: str) -> None:
        """Make a table with :data:`ROWS` rows."""

    @abc.abstractmethod
    def checksum(self, table: str) -> int | str:
        """What the table holds, in short."""

    def close(self) -> None:
        if self.agent.running:
            with contextlib.suppress(Exception):
                self.wire.call(self.id, "stop_db", timeout=60, key=self.agent.key)
        self.agent.close()


def completed(reports: list[Report]) -> dict[str, Any]:
    """What was reported of a backup that is there."""
    assert [report.method for report in reports] == ["update_backup", "update_backup", "notify_end"], [
        report.args for report in reports
    ]
    begun, ended, _ = reports
    assert begun.args["state"] == "BUILDING"
    assert ended.args["state"] == "COMPLETED"
    assert ended.is_call, "the control plane may look at the backup as soon as it hears of the end"
    return dict(ended.args)


def backup_info(found: dict[str, Any], store: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the control plane sends to an instance that begins with a backup."""
    return {
        "id": found["backup_id"],
        "location": found["location"],
        "checksum": found["checksum"],
        "type": "full",
        **(store or {"storage_driver": "local"}),
    }
