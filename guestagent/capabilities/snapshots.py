"""Holding the data still while somebody else makes a snapshot of the volume."""

import abc
import contextlib
import threading
from contextlib import AbstractContextManager
from typing import Any

from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, Interrupted
from guestagent.guest import Guest
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step

LOG = log.getLogger(__name__)


class LetGoEarlier(GuestAgentError):
    """The data were let go before the snapshot was said to be done."""

    id = "backup.let-go"
    sentence = (
        "The data were held still for {seconds} s ([backup] freeze_limit) and let go before the snapshot was done; "
        "do not use it, make another one."
    )


class Snapshots(BaseDatastoreManager, abc.ABC):
    """Supports the two calls around a snapshot.

    The data are never held for longer than ``[backup] freeze_limit``, whatever becomes of who asked: a guard lets them
    go by itself. An agent that dies lets them go as well, because what holds them is a connection of its own.
    """

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        self._held = contextlib.ExitStack()
        self._guard: threading.Timer | None = None
        self._let_go_early = False
        self._lock = threading.Lock()

    @abc.abstractmethod
    def held_still(self) -> AbstractContextManager[dict[str, Any]]:
        """Hold the data still for as long as the block lasts, so that a copy of the volume is one of this moment.

        :returns: what is worth knowing of that moment, as positions of the log.
        """

    def pre_create_backup(self, context: RequestContext) -> dict[str, Any]:
        found: dict[str, Any] = {}
        hold = Step("hold the data still", lambda: found.update(self._hold()), undo=lambda _: self._let_go())
        if self.guest.is_resumed:
            # There is nobody any more who would say that the snapshot is done, and what held the data is gone.
            raise Interrupted(operation="pre_create_backup")
        self.guest.carry_out(Plan("hold the data", [hold], resumable=False))
        return found

    def post_create_backup(self, context: RequestContext) -> dict[str, Any]:
        self.guest.carry_out(Plan("let the data go", [Step("let them go", self._let_go)]))
        with self._lock:
            was_early, self._let_go_early = self._let_go_early, False
        if was_early:
            raise LetGoEarlier(seconds=self.guest.conf.backup.freeze_limit)
        return {}

    def _hold(self) -> dict[str, Any]:
        self._let_go()
        with self._lock:
            self._let_go_early = False
            found = self._held.enter_context(self.held_still())
            self._guard = threading.Timer(self.guest.conf.backup.freeze_limit, self._let_go_early_on)
            self._guard.daemon = True
            self._guard.start()
        return found

    def _let_go(self) -> None:
        with self._lock:
            if self._guard is not None:
                self._guard.cancel()
                self._guard = None
            self._held.close()

    def _let_go_early_on(self) -> None:
        with self._lock:
            if self._guard is not threading.current_thread():
                return  # it was let go meanwhile
            LOG.error("The snapshot took too long; the data are let go")
            self._guard = None
            self._let_go_early = True
            try:
                self._held.close()
            except GuestAgentError as problem:
                LOG.error("The data could not be let go: %s", problem)
