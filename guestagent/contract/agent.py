"""What the agent tells about itself and its machine."""

from typing import Any

import msgspec

from guestagent.contract.call import OWN, TROVE, Capability, call
from guestagent.contract.context import RequestContext


class RunningOperation(msgspec.Struct):
    """The change that is being made; ``seconds`` since it began."""

    name: str
    request_id: str
    seconds: float


class AgentStatus(msgspec.Struct):
    """The service and the instance's record.

    ``wanted`` is ``running`` or ``stopped``; ``code_path`` is none before prepare.
    """

    service_status: str
    phase: str
    wanted: str
    datastore_version: str | None
    code_path: str | None
    operation: RunningOperation | None


class Agent(Capability):
    """Calls that the runtime answers by itself, whatever the datastore."""

    @call(reads=True, required=True, needs_instance=False, prompt=True, namespaces=(OWN,))
    def describe(self, context: RequestContext) -> dict[str, Any]:
        """The capability document: runtime, plugin, strategies, and every call with its support."""

    @call(reads=True, required=True, needs_instance=False, namespaces=(OWN,))
    def get_status(self, context: RequestContext) -> AgentStatus:
        """How the service is, asked of the server now, and what the agent is doing."""

    @call(reads=True, needs_instance=False, prompt=True, namespaces=(OWN, TROVE))
    def get_hwinfo(self, context: RequestContext) -> dict[str, Any]:
        """Processors, memory and disks of the machine; sizes in bytes."""

    @call(reads=True, needs_instance=False, prompt=True, namespaces=(OWN, TROVE))
    def get_diagnostics(self, context: RequestContext) -> dict[str, Any]:
        """The agent's own process: version, memory in bytes, threads, files, uptime in seconds."""
