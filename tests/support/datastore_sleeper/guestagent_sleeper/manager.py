"""The manager: every call writes down that it began, and waits while a test holds it."""

import functools
import threading
from pathlib import Path
from typing import Any

from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError
from guestagent.contract.states import ServiceStatus
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import waiting

POLL_SECONDS = 0.005


class SleeperManager(BaseDatastoreManager):
    """Keeps everything in small files in the state directory, where a test reads and writes them.

    ``began.<call>`` (its lines name the threads) and ``databases`` grow by a line each time, so that
    executions can be counted over the lives of several agents. While ``hold.<call>`` exists the call does not go on.
    ``create_backup`` is a plan of four steps, which begin and are held as ``create_backup.<step>``; ``undone`` names
    those that were undone.
    """

    def service_status(self) -> ServiceStatus:
        try:
            return ServiceStatus(self._file("status").read_text())
        except FileNotFoundError:
            return ServiceStatus.HEALTHY

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        self._begin("create_database")
        for database in databases:
            if database.name == "refused":
                raise DatastoreError(subject="Creating a database", problem="a test wants it so")
            if database.name == "mistake":
                raise ZeroDivisionError("a mistake that holds a secret")
            self._append("databases", database.name)

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        self._begin("list_databases")
        try:
            names = self._file("databases").read_text().splitlines()
        except FileNotFoundError:
            names = []
        return [Database(name) for name in names], None

    def delete_database(self, context: RequestContext, database: Database) -> None:
        self._begin("delete_database")

    def restart(self, context: RequestContext) -> None:
        self._begin("restart")

    def create_backup(self, context: RequestContext, backup_info: dict[str, Any]) -> None:
        steps = [
            Step(
                name, functools.partial(self._begin, f"create_backup.{name}"), undo=functools.partial(self._undo, name)
            )
            for name in ("first", "second", "third", "fourth")
        ]
        self.guest.carry_out(Plan("backup", steps, cancellable=True))

    def _undo(self, name: str, kept: None) -> None:
        self._append("undone", name)

    def _begin(self, call: str) -> None:
        self._append(f"began.{call}", threading.current_thread().name)
        hold = self._file(f"hold.{call}")
        while hold.exists():
            waiting.pause(POLL_SECONDS)

    def _append(self, name: str, line: str) -> None:
        with self._file(name).open("a") as file:
            file.write(f"{line}\n")

    def _file(self, name: str) -> Path:
        return self.guest.state_dir / name
