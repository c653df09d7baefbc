"""BaseDatastoreManager: the whole contract, every call "not supported" until a plugin overrides it."""

from pathlib import Path
from typing import Any

from oslo_log import log

from guestagent import contract
from guestagent.contract.agent import AgentStatus, RunningOperation
from guestagent.contract.call import TROVE, Call
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import NotSupported
from guestagent.contract.operations import CodePath, EngineDetails, OperationDetails
from guestagent.contract.states import Phase, ServiceStatus
from guestagent.guest import Guest
from guestagent.operations.plan import Plan, Step
from guestagent.system import files

LOG = log.getLogger(__name__)


class BaseDatastoreManager(
    contract.Agent,
    contract.Operations,
    contract.Lifecycle,
    contract.Databases,
    contract.Users,
    contract.Root,
    contract.Configuration,
    contract.Volumes,
    contract.Backups,
    contract.Replication,
    contract.Logs,
    contract.Modules,
    contract.Tls,
    contract.Upgrades,
):
    """What a datastore plugin derives from: override what the database can do, and nothing else.

    A plugin class needs no more than that. The classes of :mod:`guestagent.capabilities` are halves
    that the runtime has ready: derive from one of them before this class, implement its few abstract
    methods, and the calls of that capability are supported.

    :param guest: what the runtime hands over.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.datastore_name = guest.datastore
        self._has_phases = contract.ALLOWED[TROVE, "prepare"].supported_by(type(self))

    def service_status(self) -> ServiceStatus:
        """The server's status, asked of the server itself; every heartbeat says it.

        Must return within a few seconds whatever the server does, and never raises.
        """
        return ServiceStatus.UNKNOWN

    def reported_status(self) -> ServiceStatus:
        """What a heartbeat says: by the record before prepare has ended well, and by the server afterwards."""
        phase = self.guest.record.current.phase if self._has_phases else Phase.READY
        if phase is Phase.FAILED:
            return ServiceStatus.FAILED
        if phase is not Phase.READY:
            return ServiceStatus.BUILDING
        try:
            return self.service_status()
        except Exception:
            # A mistake of the plugin's must not silence the heart.
            LOG.exception("The plugin could not tell the service's status")
            return ServiceStatus.UNKNOWN

    def ensure_running(self) -> None:
        """Bring up what the record says should be up and is not.

        Called when the agent has started and whenever a heartbeat had to say ``crashed``; repeating it is safe.
        """

    def archive_closed_logs(self) -> None:
        """Archive what the server has closed of its logs, beside operations; repeating it is safe.

        Asked every ``[backup] archive_interval`` seconds, if that is set, in a thread of its own. Never raises because
        of the server or the store; :class:`guestagent.capabilities.backups.ArchivedLogs` can.
        """

    def tidy(self) -> None:
        """Remove what an agent that died has left half-written; asked once, when an agent has started."""
        files.sweep(self.guest.state_dir)
        for storage in self.guest.storage.values():
            storage.tidy()

    def recognise(self) -> dict[str, Any] | None:
        """What this machine shows of an instance that prepare has made here; asked when the agent's record is lost.

        :returns: fields of :class:`guestagent.operations.instance.Instance`; none: it shows no such instance, and
            the agent waits for prepare, whatever is on the volume.
        """
        return None

    def restore(self, context: RequestContext, backup_info: dict[str, Any], target: Path) -> None:
        """Fill an empty directory with the data of a backup; :class:`guestagent.capabilities.backups.BackedUp` can.

        :raises GuestAgentError: it cannot be done; the directory is to be thrown away.
        """
        raise NotSupported(operation="prepare from a backup", datastore=self.datastore_name)

    def rpc_ping(self, context: RequestContext) -> bool:
        return True

    def supports(self, declared: Call) -> bool:
        """Whether the plugin implements a call; a half may need more of an image than the plugin."""
        return declared.supported_by(type(self))

    def describe(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.plugins.description import describe

        return describe(self.guest, type(self), self.supports)

    def get_status(self, context: RequestContext) -> AgentStatus:
        record, running = self.guest.record.current, self.guest.operations.current
        return AgentStatus(
            service_status=self.reported_status().value,
            phase=record.phase.value,
            wanted=record.wanted.value,
            datastore_version=record.datastore_version,
            code_path=record.code_path.value if record.code_path else None,
            operation=RunningOperation(running.name, running.request_id, running.seconds) if running else None,
        )

    def operation_list(self, context: RequestContext, limit: int = 20) -> list[OperationDetails]:
        return self.guest.operations.list(limit)

    def operation_show(self, context: RequestContext, operation_id: str) -> OperationDetails:
        return self.guest.operations.show(operation_id)

    def operation_cancel(self, context: RequestContext, operation_id: str) -> OperationDetails:
        return self.guest.operations.cancel(operation_id)

    def convert_engine(self, context: RequestContext) -> EngineDetails:
        before = self.guest.code_path
        convert = Step("record the code path", self._converge)
        self.guest.carry_out(Plan("convert", [convert]))
        return EngineDetails(before.value, self.guest.code_path.value)

    def _converge(self) -> None:
        self.guest.record.change(code_path=CodePath.CONVERGENCE)

    def get_hwinfo(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.system import facts

        return facts.hardware()

    def get_diagnostics(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.system import facts

        return facts.agent_process()
