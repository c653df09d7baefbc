"""Moving an instance to another version of its datastore."""

from typing import Any

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Upgrades(Capability):
    """Before, during and after the change of the datastore's version."""

    @call()
    def pre_upgrade(self, context: RequestContext) -> dict[str, Any]:
        """Get ready for an upgrade; what is returned comes back in :meth:`post_upgrade`."""

    @call(cast=True, required=True)
    def upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        """Let the data be used by the server of this image, newer than the one that wrote them.

        The control plane waits for the status ``healthy``.
        """

    @call(repeatable=True)
    def post_upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        """Finish an upgrade that replaced the machine."""
