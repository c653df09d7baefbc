"""Instances that come up, and those that move to another version."""

from guestagent.conformance.guest import PASSWORD, Guest
from guestagent.conformance.suite import modules
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario


def _whole_preparation(guest: Guest) -> Arguments:
    """Everything that prepare can be given."""
    wanted = guest.preparation()
    if guest.datastore.restart is not None and guest.supports("update_overrides"):
        wanted["overrides"] = guest.datastore.restart.overrides
    if guest.supports("module_apply"):
        wanted["modules"] = [modules.module()]
    if guest.supports("enable_root"):
        wanted["root_password"] = PASSWORD
    return wanted


def _rebuild(guest: Guest) -> Arguments:
    overrides = guest.datastore.restart.overrides if guest.datastore.restart is not None else {}
    return {
        "ds_version": guest.datastore.version,
        "config_contents": guest.datastore.config_contents,
        "config_overrides": overrides,
    }


BRINGING_UP = [
    Scenario("prepare", "prepare", _whole_preparation, given=("write", "read"), once=True, comes_up=True),
    Scenario(
        "rebuild",
        "rebuild",
        _rebuild,
        also=("stop_db",),
        given=("lose_root_disk", "write", "read"),
        once=True,
        comes_up=True,
    ),
]
"""What makes an instance of a machine, each time of another one."""


def restoration(found: Arguments) -> Scenario:
    """Prepare, from a backup.

    :param found: what the control plane says of it.
    """

    def arguments(guest: Guest) -> Arguments:
        return {**guest.preparation(), "databases": [], "users": [], "backup_info": found}

    return Scenario("prepare from a backup", "prepare", arguments, once=True, comes_up=True)


NEXT_VERSION = Scenario(
    "upgrade to another version",
    "upgrade",
    lambda guest: {"upgrade_info": {"datastore_version": guest.datastore.next_version}},
    given=("next_version", "write", "read"),
    resumable=False,
    once=True,
)
"""Moves the data to a server that cannot be gone back from."""
