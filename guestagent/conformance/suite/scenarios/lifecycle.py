"""Starts, stops and upgrades."""

from guestagent.conformance.guest import Guest
from guestagent.conformance.suite.scenarios.configuration import plain
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario, does, in_order


def _flavour(contents: str | None, guest: Guest) -> Arguments:
    return {"config_contents": {"config_contents": contents}, "ds_version": guest.datastore.version}


def _own_flavour(guest: Guest) -> Arguments:
    return _flavour(guest.datastore.config_contents, guest)


def _unstartable(guest: Guest) -> Arguments:
    return _flavour(f"{guest.datastore.config_contents or ''}\n{guest.datastore.unstartable}\n", guest)


_STOPPED = in_order(plain, does("stop_db"))

LIFECYCLE = [
    Scenario("restart", "restart", arrange=plain),
    Scenario("start a stopped server", "restart", arrange=_STOPPED, also=("stop_db",)),
    Scenario("stop", "stop_db", arrange=plain, also=("restart",)),
    Scenario(
        "start with a configuration",
        "start_db_with_conf_changes",
        _own_flavour,
        _STOPPED,
        ("restart", "stop_db"),
    ),
    Scenario(
        "start with a configuration that the server cannot start with",
        "start_db_with_conf_changes",
        _unstartable,
        _STOPPED,
        ("restart", "stop_db"),
        ("unstartable",),
        fails=True,
    ),
    Scenario("get ready for an upgrade", "pre_upgrade", arrange=plain, also=("restart",)),
    Scenario("upgrade", "upgrade", lambda guest: {"upgrade_info": {}}, plain, ("restart",)),
    Scenario("finish an upgrade", "post_upgrade", lambda guest: {"upgrade_info": {}}, plain, ("restart",)),
]
