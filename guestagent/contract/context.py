"""Who asks, and for whom: the request context as it travelled."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from guestagent.contract.errors import one_line

LONGEST_ID: Final = 64


class RequestContext(msgspec.Struct, frozen=True):
    """The context of one request, kept verbatim so that it can be sent back to the conductor.

    :ivar values: what arrived, unknown keys included. Trove's keys are ``user``, ``project_id``,
        ``is_admin``, ``request_id`` and, for requests that end in a notification,
        ``trove_notification``. ``auth_token`` may be among them and is never logged.
    """

    values: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        """Without the values, which may hold a token."""
        return f"RequestContext({self.request_id!r})"

    @property
    def request_id(self) -> str:
        """The id that the control plane's log has for this request, or ``-``."""
        return one_line(str(self.values.get("request_id") or "-"), LONGEST_ID)

    @property
    def is_admin(self) -> bool:
        """Whether the requester acts as an administrator of the cloud."""
        return self.values.get("is_admin") is True

    @property
    def notification(self) -> Mapping[str, Any] | None:
        """The notification that the end of this request must echo, if it can be echoed."""
        found = self.values.get("trove_notification")
        if isinstance(found, Mapping) and "notification_classname" in found:
            return found
        return None
