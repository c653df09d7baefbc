"""A guest whose calls do nothing: what is measured of it is what the runtime adds."""

import dataclasses
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import oslo_messaging
from oslo_config import cfg

from guestagent.conformance.wire import request_context
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.operations import CodePath
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.journal import Journal
from guestagent.operations.operation import Operation
from guestagent.operations.plan import Plan
from guestagent.operations.queue import OperationQueue
from guestagent.operations.store import Store
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.dispatcher import Dispatcher
from guestagent.rpc.envelope import PlainEnvelope
from guestagent.system.plain import PlainControl

PATIENCE = 60
NOTIFICATION = "trove.common.notification.DBaaSDatabaseCreate"
DATABASES = {"databases": [{"_name": "shop", "_character_set": "utf8mb4", "_collate": "utf8mb4_general_ci"}]}

AnyJournal = TypeVar("AnyJournal", bound=Journal)


@dataclasses.dataclass(frozen=True)
class Incoming:
    """A message as oslo.messaging hands it over; nobody waits for the answer where there is no queue for it."""

    message: dict[str, Any]
    ctxt: dict[str, Any]
    reply_q: str | None
    unique_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)


class TrivialManager(BaseDatastoreManager):
    """Does nothing when it is asked; to restart is a plan.

    :ivar plan: what it is then.
    """

    plan = Plan("restart", ())

    def create_database(self, context: RequestContext, databases: list[Database]) -> None:
        """Nothing is to be done."""

    def list_databases(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[Database], str | None]:
        return [Database("shop")], None

    def restart(self, context: RequestContext) -> None:
        self.guest.carry_out(self.plan)


class TrivialGuest(Generic[AnyJournal]):
    """That manager in the runtime as the agent puts it together, on a bus in memory; a context manager.

    :param state_dir: is made, for its record and its journal.
    :param journal: makes the journal.
    :ivar journal: what was made.
    :ivar manager: what answers.
    :ivar path: how the next operation is carried out.
    """

    def __init__(self, state_dir: Path, journal: Callable[[Store, Path], AnyJournal]) -> None:
        state_dir.mkdir(mode=0o700, parents=True)
        self._store = Store(state_dir)
        self._transport = oslo_messaging.get_rpc_transport(cfg.CONF, url="fake:/")
        self.journal = journal(self._store, state_dir)
        self.path = CodePath.LEGACY
        self._operations = OperationQueue(lambda: PATIENCE, self.journal, lambda: self.path)
        name = uuid.uuid4().hex
        self._conductor = Conductor(self._transport, f"conductor.{name}", name, PlainEnvelope())
        self.manager = TrivialManager(
            Guest(
                id=name,
                datastore="trivial",
                conf=cfg.CONF,
                state_dir=state_dir,
                record=InstanceRecord(self._store),
                processes=PlainControl(state_dir),
                operations=self._operations,
            )
        )
        dispatcher = Dispatcher(self.manager, PlainEnvelope(), self._operations, self.journal, self._conductor)
        self.dispatch: Callable[[Incoming], Any] = dispatcher.dispatch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.wait_until_idle()
        self._operations.drain()
        self._store.close()
        self._transport.cleanup()

    def wait_until_idle(self) -> None:
        """Return when everything that was taken has ended, and the conductor and the journal know it."""
        # Nothing of it is written down, and its turn comes when all the others have had theirs.
        self._operations.run(Operation("wait", "-", work=lambda: None))
        if not self._conductor.flush(PATIENCE):
            raise RuntimeError("the bus in memory takes no reports")


def message(name: str, arguments: dict[str, Any] | None = None, *, awaited: bool = True) -> Incoming:
    """A message from the control plane, with the context that it gives to a change."""
    body = {"method": name, "args": arguments or {}, "version": "1.0"}
    return Incoming(body, request_context(NOTIFICATION), "reply" if awaited else None)
