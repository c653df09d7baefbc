"""An instance with a server whose backups are made and restored over the wire."""

import contextlib
import uuid
from pathlib import Path
from typing import Any

import pymysql

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire, request_context
from tests.functional.mariadb.machine import FLAVOUR
from tests.support import mariadb

NOTIFICATION = "trove.common.notification.DBaaSBackupCreate"
PASSWORD = "Wee/sleekit 1"
KEY = "0123456789abcdef" * 4
ROWS = 2000


class Instance:
    """An instance, its agent and its server.

    :param storage: the directory of the storage strategy ``local``, shared with other instances.
    :param store: what the control plane says of the store, and the token of its requests; none: ``local``.
    """

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
    ) -> None:
        database = directory / "database"
        database.mkdir(parents=True)
        options = mariadb.options(database)
        self.wire, self.conductor, self.storage = wire, conductor, storage
        self.store = store or {"storage_driver": "local"}
        self.token = token
        self.port = int(str(options["mariadb"]["port"]))
        self.keys = directory / "keys"
        self.keys.write_text(f"first {KEY}\n")
        self.keys.chmod(0o600)
        self.agent = AgentProcess(
            directory / "agent",
            str(uuid.uuid4()),
            transport_url=broker.url,
            exchange=exchange,
            datastore=mariadb.DATASTORE,
            options=options
            | {
                "agent": {"volume_wait": 0, "storage_dir": storage},
                "image": {
                    "backup_strategies": "mariabackup",
                    "storage_strategies": f"local,{self.store['storage_driver']}",
                },
                "backup": {"encryption_key_file": self.keys, "segment_size": 1 << 20},
            },
        )

    @property
    def id(self) -> str:
        return self.agent.guest_id

    def prepare(self, **arguments: Any) -> Report:
        """Have it prepared; what the conductor hears of the end."""
        self.wire.declare_guest(self.id)
        given = {
            "packages": "",
            "databases": [{"_name": "shop"}],
            "memory_mb": 512,
            "users": [{"_name": "app", "_password": PASSWORD, "_databases": [{"_name": "shop"}]}],
            "config_contents": FLAVOUR,
            "ds_version": "10.11",
        }
        context = request_context("trove.common.notification.DBaaSInstanceCreate", auth_token=self.token)
        self.wire.cast(self.id, "prepare", given | arguments, version="1.1", context=context)
        self.agent.boot(self.wire)
        return self.conductor.wait_for_method(self.id, "notify_end", "notify_exc_info", timeout=90)

    def back_up(self, parent: dict[str, Any] | None = None, backup_id: str | None = None) -> list[Report]:
        """Make a backup; what the conductor hears of it until its end."""
        heard = len(self.conductor.reports)
        info = {
            "id": backup_id or str(uuid.uuid4()),
            "instance_id": self.id,
            "backup_type": "incremental" if parent else "full",
            "parent": parent and {"location": parent["location"], "checksum": parent["checksum"]},
            "datastore": mariadb.DATASTORE,
            "swift_container": None,
            **self.store,
        }
        context = request_context(NOTIFICATION, auth_token=self.token)
        self.wire.cast(self.id, "create_backup", {"backup_info": info}, context=context)
        self.conductor.wait_for_method(self.id, "notify_end", "notify_exc_info", timeout=90, after=heard)
        return [one for one in self.conductor.reports[heard:] if one.instance_id == self.id and one.status is None]

    def sql(self, statement: str, *values: Any) -> tuple[tuple[Any, ...], ...]:
        with (
            pymysql.connect(
                host=LOOPBACK, port=self.port, user="app", password=PASSWORD, database="shop", autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)
            return tuple(cursor.fetchall())

    def fill(self, table: str) -> None:
        self.sql(f"CREATE TABLE {table} (id INT PRIMARY KEY, words TEXT)")
        words = ", ".join(f"({n}, 'the same old {n * 7919 % ROWS} story')" for n in range(ROWS))
        self.sql(f"INSERT INTO {table} VALUES {words}")

    def checksum(self, table: str) -> int:
        [(_, found)] = self.sql(f"CHECKSUM TABLE {table}")
        return int(found)

    def close(self) -> None:
        if self.agent.running:
            with contextlib.suppress(Exception):
                self.wire.call(self.id, "stop_db", timeout=60)
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
