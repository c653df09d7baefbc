"""An upgrade of the datastore, by which nothing changes: the server of the image is the one that wrote the data."""

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest


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
