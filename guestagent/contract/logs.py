"""The server's logs, and how a user gets at them."""

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class LogDetails(msgspec.Struct):
    """One log as Trove's API shows it; sizes are in bytes.

    ``type`` is ``USER`` (can be enabled and disabled) or ``SYS`` (always on); ``status`` is one of
    ``Disabled``, ``Enabled``, ``Unavailable``, ``Ready``, ``Published``, ``Partial``, ``Rotated``,
    ``Restart Required``.
    """

    name: str
    type: str
    status: str
    published: int
    pending: int
    container: str | None = None
    prefix: str | None = None
    metafile: str | None = None


class Logs(Capability):
    """List, enable, disable, publish and discard logs."""

    @call(reads=True, required=True)
    def guest_log_list(self, context: RequestContext) -> list[LogDetails]:
        """The logs that the requester may see."""

    @call(repeatable=True, required=True)
    def guest_log_action(
        self,
        context: RequestContext,
        log_name: str,
        enable: int | bool | None = None,
        disable: int | bool | None = None,
        publish: int | bool | None = None,
        discard: int | bool | None = None,
    ) -> LogDetails:
        """Do what is asked of one log, in the order disable or enable, discard, publish.

        Publishing enables a log that is off, unless it is to be disabled.

        :raises NotFound: there is no log of that name.
        :raises InvalidValue: enable and disable together, or either of them for a ``SYS`` log.
        """
