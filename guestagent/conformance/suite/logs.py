"""The server's logs: listed, switched, published and discarded."""

from typing import Any

from guestagent.conformance.claims import claims
from guestagent.conformance.guest import Guest


def logs(guest: Guest, kind: str) -> list[dict[str, Any]]:
    """The logs of a type, ``USER`` or ``SYS``."""
    return [log for log in guest.do("guest_log_list") if log["type"] == kind]


@claims("guest_log_list", "guest_log_action")
class TestLogs:
    """Whatever logs there are."""

    def test_there_are_some(self, guest: Guest) -> None:
        assert guest.do("guest_log_list")

    def test_each_is_published_and_discarded(self, guest: Guest) -> None:
        for log in guest.do("guest_log_list"):
            published = guest.do("guest_log_action", log_name=log["name"], publish=1)
            assert published["name"] == log["name"]
            assert published["status"] in ("Published", "Partial", "Enabled", "Ready", "Restart Required")
            if published["published"]:
                assert [path for path in guest.storage.rglob("*") if path.is_file()]
            discarded = guest.do("guest_log_action", log_name=log["name"], discard=1)
            assert discarded["published"] == 0

    def test_those_of_users_are_switched(self, guest: Guest) -> None:
        for log in logs(guest, "USER"):
            for _ in range(2):
                assert guest.do("guest_log_action", log_name=log["name"], enable=1)["status"] != "Disabled"
            for _ in range(2):
                assert guest.do("guest_log_action", log_name=log["name"], disable=1)["status"] in (
                    "Disabled",
                    "Restart Required",
                )

    def test_those_of_the_system_are_not(self, guest: Guest) -> None:
        for log in logs(guest, "SYS"):
            assert guest.refusal("guest_log_action", log_name=log["name"], disable=1).kind == "InvalidValue"

    def test_what_contradicts_itself_is_refused(self, guest: Guest) -> None:
        name = guest.do("guest_log_list")[0]["name"]
        assert guest.refusal("guest_log_action", log_name=name, enable=1, disable=1).kind == "InvalidValue"

    def test_one_that_is_not_there_is_not_found(self, guest: Guest) -> None:
        for name in ("no-such-log", "../../etc/passwd", "", "nul\0"):
            assert guest.refusal("guest_log_action", log_name=name, publish=1).kind == "NotFound"
