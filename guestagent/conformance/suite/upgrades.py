"""An upgrade of the datastore, by which nothing changes: the server of the image is the one that wrote the data."""

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest, MakeGuest
from guestagent.conformance.suite.deaths import see_each_once
from guestagent.conformance.suite.scenarios.bringing_up import NEXT_VERSION


@claims("upgrade")
@given("write", "read")
class TestUpgrade:
    """The three calls of an upgrade that changes the machine in between."""

    def test_the_data_are_there_afterwards(self, guest: Guest) -> None:
        guest.datastore.write(guest.account, "upgraded", "data")
        info = guest.do("pre_upgrade") if guest.supports("pre_upgrade") else {}
        guest.reboot_agent()
        guest.do("upgrade", upgrade_info=info)
        if guest.supports("post_upgrade"):
            for _ in range(2):
                guest.do("post_upgrade", upgrade_info=info)
        assert guest.status() == "healthy"
        assert guest.datastore.read(guest.account, "upgraded") == "data"


@claims("prepare", "upgrade")
@given("next_version", "write", "read")
class TestNextVersion:
    """An upgrade that moves the data, for images with the servers of both versions."""

    def test_an_agent_that_dies_in_it_leaves_the_former_data_or_the_new_ones(self, make_guest: MakeGuest) -> None:
        see_each_once(make_guest, NEXT_VERSION)
