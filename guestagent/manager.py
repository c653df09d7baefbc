"""BaseDatastoreManager: the whole contract, every call "not supported" until a plugin overrides it."""

from typing import Any

from guestagent import contract
from guestagent.contract.agent import AgentStatus, RunningOperation
from guestagent.contract.context import RequestContext
from guestagent.contract.states import ServiceStatus
from guestagent.guest import Guest

PLUGIN_API = (1, 0)
"""The version of the interface between runtime and plugins; a plugin's packaging says which it needs."""


class BaseDatastoreManager(
    contract.Agent,
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

    def service_status(self) -> ServiceStatus:
        """The server's status, asked of the server itself; every heartbeat says it.

        Must return within a few seconds whatever the server does, and never raises.
        """
        return ServiceStatus.UNKNOWN

    def ensure_running(self) -> None:
        """Bring up what the record says should be up and is not.

        Called when the agent has started and whenever a heartbeat had to say ``crashed``; repeating it is safe.
        """

    def rpc_ping(self, context: RequestContext) -> bool:
        return True

    def describe(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.plugins.description import describe

        return describe(type(self), self.guest)

    def get_status(self, context: RequestContext) -> AgentStatus:
        record, running = self.guest.record.current, self.guest.operations.current
        return AgentStatus(
            service_status=self.service_status().value,
            phase=record.phase.value,
            wanted=record.wanted.value,
            datastore_version=record.datastore_version,
            operation=RunningOperation(running.name, running.request_id, running.seconds) if running else None,
        )

    def get_hwinfo(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.system import facts

        return facts.hardware()

    def get_diagnostics(self, context: RequestContext) -> dict[str, Any]:
        from guestagent.system import facts

        return facts.agent_process()
