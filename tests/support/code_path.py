"""Operations of managers without an agent, on the code path that the tests run on."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from guestagent import contract
from guestagent.conformance.code_path import PATH
from guestagent.contract.context import RequestContext
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.journal import Journal
from guestagent.operations.operation import Operation, Request
from guestagent.operations.queue import OperationQueue
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault

PATIENCE = 300

Manager = TypeVar("Manager", bound=BaseDatastoreManager)


def operations(store: Store, state_dir: Path) -> OperationQueue:
    """Operations on that path, written into the journal of the directory."""
    journal = Journal(store, Vault(state_dir), keep=lambda: 100)
    return OperationQueue(lambda: PATIENCE, journal, lambda: PATH)


def journaled(manager: type[Manager]) -> type[Manager]:
    """The class of managers whose changes are operations of the journal, as those that come over the wire are."""
    changes = {
        declared.name: _as_operation(getattr(manager, declared.name), declared.namespaces[0])
        for declared in contract.CALLS
        if not declared.reads and declared.supported_by(manager)
    }
    return type(manager.__name__, (manager,), changes)


def _as_operation(method: Callable[..., Any], namespace: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def change(self: BaseDatastoreManager, context: RequestContext, *args: Any, **kwargs: Any) -> Any:
        work = functools.partial(method, self, context, *args, **kwargs)
        if self.guest.operations.current is not None:
            return work()
        request = Request(namespace, {}, {}, awaited=True)
        return self.guest.operations.run(Operation(method.__name__, context.request_id, work, request))

    return change
