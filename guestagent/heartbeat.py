"""The heartbeat: what the conductor hears of the service, every interval and at every change."""

import contextlib

from oslo_log import log

from guestagent.contract.errors import GuestAgentError, Leaving
from guestagent.contract.states import ServiceStatus
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.operation import Operation
from guestagent.operations.queue import OperationQueue
from guestagent.rpc.conductor import Conductor

LOG = log.getLogger(__name__)


class Heartbeat:
    """Says how the service is.

    :param manager: is asked for the server's status.
    :param operations: takes the start of a server that died.
    :param conductor: hears it.
    """

    def __init__(self, manager: BaseDatastoreManager, operations: OperationQueue, conductor: Conductor) -> None:
        self._manager = manager
        self._operations = operations
        self._conductor = conductor

    def beat(self) -> None:
        """Say it now, and see to what is not as it should be: a server that is down, a journal that had no room."""
        self._operations.note_ends()
        status = self._manager.reported_status()
        self._conductor.heartbeat(status)
        if status is ServiceStatus.CRASHED and self._operations.current is None:
            self.ensure_running()

    def ensure_running(self) -> None:
        """Queue the start of what should be up; a leaving agent leaves that to the next one."""
        with contextlib.suppress(Leaving):
            self._operations.enqueue(Operation("ensure_running", "-", self._ensure_running))

    def _ensure_running(self) -> None:
        try:
            self._manager.ensure_running()
        except GuestAgentError as error:
            LOG.error("The server should run, and could not be started: %s", error)
        except Exception:
            # Nobody waits for the result, so it is heard of here or nowhere.
            LOG.exception("The server should run, and starting it failed unexpectedly")
