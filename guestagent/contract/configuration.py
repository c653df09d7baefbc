"""The server's configuration: the base that comes with the flavour, and the user's overrides."""

from typing import Any

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Configuration(Capability):
    """Write and apply configuration."""

    @call(repeatable=True)
    def reset_configuration(self, context: RequestContext, configuration: dict[str, Any]) -> None:
        """Replace the base configuration without touching the running server.

        :param configuration: ``{"config_contents": text}``.
        """

    @call(repeatable=True, required=True)
    def update_overrides(self, context: RequestContext, overrides: dict[str, Any], remove: bool = False) -> None:
        """Write the overrides to disk; the running server is not touched.

        :param remove: forget the present overrides first.
        :raises InvalidValue: the server refuses one; the files are as before.
        """

    @call(repeatable=True, required=True)
    def apply_overrides(self, context: RequestContext, overrides: dict[str, Any]) -> None:
        """Make the running server use the values that it can take live.

        What needs a restart is left for the next one, and the status becomes ``restart required``.

        :raises InvalidValue: the server refuses one; none of the call's values stays in force.
        """
