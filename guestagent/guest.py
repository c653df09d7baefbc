"""The guest as a plugin sees it: what the runtime hands to a manager when it constructs it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from oslo_config import cfg

from guestagent.contract.operations import CodePath
from guestagent.contract.states import ServiceStatus
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.plan import Plan
from guestagent.operations.queue import OperationQueue
from guestagent.system.processes import ProcessControl

if TYPE_CHECKING:
    from guestagent.modules.driver import ModuleDriver
    from guestagent.storage.base import BaseStorage


class Guest(msgspec.Struct, frozen=True):
    """Everything that a manager needs and may not make itself.

    :ivar id: the instance's id.
    :ivar datastore: the name under which the image declared the datastore.
    :ivar conf: all options; a plugin reads its own group and nobody else's.
    :ivar state_dir: survives restarts of the agent, mode 0700; a plugin's secrets go here, mode 0600.
    :ivar record: the instance's durable record.
    :ivar processes: who keeps the server's process.
    :ivar storage: the declared storage strategies by name, in the image's order.
    :ivar backup_strategies: the names of the declared ones, in the image's order.
    :ivar archive_strategies: likewise.
    :ivar modules: the declared module drivers by type.
    :ivar operations: what the agent is doing, and has done.
    :ivar report: sends a status to the conductor at once.
    :ivar report_backup: tells the conductor of a backup; see :meth:`guestagent.rpc.conductor.Conductor.update_backup`.
    :ivar description: what the loader found, for the capability document.
    """

    id: str
    datastore: str
    conf: cfg.ConfigOpts
    state_dir: Path
    record: InstanceRecord
    processes: ProcessControl
    storage: Mapping[str, "BaseStorage"] = msgspec.field(default_factory=dict)
    backup_strategies: Sequence[str] = ()
    archive_strategies: Sequence[str] = ()
    modules: Mapping[str, "ModuleDriver"] = msgspec.field(default_factory=dict)
    operations: OperationQueue = msgspec.field(default_factory=OperationQueue)
    report: Callable[[ServiceStatus], None] = lambda status: None
    report_backup: Callable[..., None] = lambda context, backup_id, **fields: None
    description: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def code_path(self) -> CodePath:
        """How the call that is being made is carried out."""
        current = self.operations.current
        return self.record.current.code_path or (current.path if current else CodePath.LEGACY)

    @property
    def plugin(self) -> str | None:
        """The datastore's distribution and its version."""
        datastore = self.description.get("datastore")
        return f"{datastore['distribution']} {datastore['version']}" if datastore else None

    @property
    def is_resumed(self) -> bool:
        """Whether the call that is being carried out was begun by an agent that died."""
        current = self.operations.current
        return current is not None and current.resumed

    def carry_out(self, plan: Plan) -> None:
        """Do the steps of a plan; whatever a call changes is a step of one.

        The operation is on the instance's code path: where that is ``convergence``, an agent that comes after a
        crash makes the same call of the manager once more, and here the steps that are done are left out. So what
        a call does beside its plans must be harmless to repeat.

        :raises GuestAgentError: a step's, and what must not stay has been taken back.
        """
        self.operations.carry_out(plan)
