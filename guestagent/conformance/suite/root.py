"""Root: there when it is asked for, and never otherwise."""

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.datastore import Account
from guestagent.conformance.guest import Guest


@claims("enable_root", "enable_root_with_password", "disable_root")
@given("enters")
class TestRoot:
    """Enabled and disabled, seen by logging in."""

    @pytest.fixture(autouse=True)
    def disabled(self, guest: Guest) -> None:
        guest.do("disable_root")

    def enters(self, guest: Guest, root: dict[str, str]) -> bool:
        return guest.datastore.enters(Account(root["_name"], root["_password"]))

    def test_it_enters_while_it_is_enabled(self, guest: Guest) -> None:
        root = guest.do("enable_root")
        assert len(root["_password"]) >= 16
        assert self.enters(guest, root)
        assert not self.enters(guest, {**root, "_password": "wrong"})
        for _ in range(2):
            guest.do("disable_root")
        assert not self.enters(guest, root)

    def test_each_enabling_has_a_password_of_its_own(self, guest: Guest) -> None:
        first, second = guest.do("enable_root"), guest.do("enable_root")
        assert first["_password"] != second["_password"]
        assert self.enters(guest, second)
        assert not self.enters(guest, first)

    def test_a_password_can_be_given(self, guest: Guest) -> None:
        for _ in range(2):
            root = guest.do("enable_root_with_password", root_password="rööt'pw")
            assert root["_password"] == "rööt'pw"
            assert self.enters(guest, root)
        assert self.enters(guest, guest.do("enable_root_with_password", root_password=None))

    @claims("restart")
    def test_it_stays_what_it_is_over_a_restart(self, guest: Guest) -> None:
        root = guest.do("enable_root")
        guest.do("restart")
        assert self.enters(guest, root)
        guest.do("disable_root")
        guest.do("restart")
        assert not self.enters(guest, root)

    @claims("is_root_enabled")
    def test_it_is_said_whether_it_is(self, guest: Guest) -> None:
        assert guest.do("is_root_enabled") is False
        guest.do("enable_root")
        assert guest.do("is_root_enabled") is True

    @claims("get_root_password")
    def test_its_password_is_told(self, guest: Guest) -> None:
        root = guest.do("enable_root")
        assert guest.do("get_root_password") == root["_password"]

    @pytest.mark.parametrize("password", ["nul\0", "\ud800"])
    def test_a_password_that_no_client_could_send_is_refused_and_not_repeated(
        self, guest: Guest, password: str
    ) -> None:
        refused = guest.refusal("enable_root_with_password", root_password=password)
        assert refused.kind == "InvalidValue"
        assert password not in refused.sentence
