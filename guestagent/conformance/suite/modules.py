"""Modules: applied by the image's drivers, listed and removed."""

import base64
from typing import Any

from guestagent.conformance.claims import claims
from guestagent.conformance.guest import Guest


def module(**parts: Any) -> dict[str, Any]:
    """A module for the built-in driver, as it travels."""
    given = {
        "id": "5e1d0b5c-0000-4000-8000-000000000001",
        "name": "greeting",
        "type": "ping",
        "contents": base64.b64encode(b"message=Hello\n").decode(),
        "md5": "0",
    }
    return {"module": given | parts}


@claims("module_list", "module_apply", "module_remove")
class TestModules:
    """With the driver that every runtime has."""

    def test_one_is_applied_listed_and_removed(self, guest: Guest) -> None:
        for _ in range(2):
            [result] = guest.do("module_apply", modules=[module()])
            assert (result["status"], result["message"]) == ("OK", "Hello")
        assert [found["name"] for found in guest.do("module_list")] == ["greeting"]
        guest.reboot_agent()
        assert [found["name"] for found in guest.do("module_list")] == ["greeting"]
        guest.do("module_remove", module=module())
        assert guest.do("module_list") == []
        assert guest.refusal("module_remove", module=module()).kind == "NotFound"

    def test_one_without_a_driver_is_refused(self, guest: Guest) -> None:
        assert guest.refusal("module_apply", modules=[module(type="no-such-driver")]).kind == "NotFound"
        assert guest.do("module_list") == []

    def test_one_for_another_datastore_is_refused(self, guest: Guest) -> None:
        assert guest.refusal("module_apply", modules=[module(datastore="other")]).kind == "InvalidValue"
