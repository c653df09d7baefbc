"""The guest as a plugin sees it: what the runtime hands to a manager when it constructs it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from guestagent.contract.states import ServiceStatus
from guestagent.operations import plan
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.plan import Step
from guestagent.operations.queue import OperationQueue
from guestagent.system.processes import ProcessControl

if TYPE_CHECKING:
    from guestagent.modules.driver import ModuleDriver
    from guestagent.storage.base import BaseStorage


@dataclasses.dataclass(frozen=True)
class Guest:
    """Everything that a manager needs and may not make itself.

    :ivar id: the instance's id.
    :ivar datastore: the name under which the image declared the datastore.
    :ivar conf: all options; a plugin reads its own group and nobody else's.
    :ivar state_dir: survives restarts of the agent, mode 0700; a plugin's secrets go here, mode 0600.
    :ivar record: the instance's durable record.
    :ivar processes: who keeps the server's process.
    :ivar storage: the declared storage strategies by name, in the image's order.
    :ivar modules: the declared module drivers by type.
    :ivar operations: what the agent is doing.
    :ivar report: sends a status to the conductor at once.
    :ivar description: what the loader found, for the capability document.
    :ivar carry_out: does the steps of a plan; every change that has more than one step goes through it.
    """

    id: str
    datastore: str
    conf: cfg.ConfigOpts
    state_dir: Path
    record: InstanceRecord
    processes: ProcessControl
    storage: Mapping[str, "BaseStorage"] = dataclasses.field(default_factory=dict)
    modules: Mapping[str, "ModuleDriver"] = dataclasses.field(default_factory=dict)
    operations: OperationQueue = dataclasses.field(default_factory=lambda: OperationQueue(lambda: 0))
    report: Callable[[ServiceStatus], None] = lambda status: None
    description: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    carry_out: Callable[[str, Sequence[Step]], None] = plan.carry_out
