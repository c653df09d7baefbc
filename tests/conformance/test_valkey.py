"""Valkey as the conformance kit sees it: the plugin of its elder twin, and another server."""

from guestagent.conformance.suite import *  # noqa: F403
from guestagent.conformance.suite.deaths import WIDE
from tests.conformance.test_redis import Redis


class Valkey(Redis):
    """With the server of Debian's backports."""

    name = "valkey"
    programs = ("valkey-server", "valkey-cli")
    version = "8.0"


DATASTORE = Valkey

if not WIDE:
    # The agent is the same as beside the elder twin, where it is killed every time.
    del TestCrash, TestFullState, TestFullVolume, TestPowerCut, TestRepetition, TestServerDies  # noqa: F821
