"""A kept volume under a new root disk."""

import shutil

from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest, MakeGuest


def lose_root_disk(guest: Guest) -> None:
    """Stop everything, and have an agent start on a machine that has nothing but the volume."""
    guest.do("stop_db")
    guest.agent.terminate()
    for directory in (guest.agent.state_dir, guest.agent.directory / "run"):
        shutil.rmtree(directory)
    guest.datastore.lose_root_disk()
    guest.agent.boot(guest.wire)


@claims("rebuild", "stop_db")
@given("lose_root_disk", "write", "read")
class TestRebuild:
    """The machine is made anew, and its data volume is attached again."""

    def test_the_data_come_up_again(self, make_guest: MakeGuest) -> None:
        guest = make_guest()
        guest.prepare()
        guest.datastore.write(guest.account, "lasting", "data")
        lose_root_disk(guest)
        assert guest.status() == "building"
        contents = guest.datastore.config_contents
        guest.do("rebuild", ds_version=guest.datastore.version, config_contents=contents, config_overrides={})
        assert guest.status() == "healthy"
        if type(guest.datastore).keeps_data:
            assert guest.datastore.read(guest.account, "lasting") == "data"
        guest.do("restart")
        assert guest.status() == "healthy"
        guest.close()
