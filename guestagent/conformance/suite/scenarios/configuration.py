"""The server's configuration."""

from collections.abc import Callable
from typing import Any

from guestagent.conformance.datastore import Setting
from guestagent.conformance.guest import Guest
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario, does, in_order


def _overrides(*names: str) -> Callable[[Guest], Arguments]:
    """The settings of the description with these names."""

    def arguments(guest: Guest) -> Arguments:
        found: dict[str, Any] = {}
        for name in names:
            setting: Setting = getattr(guest.datastore, name)
            found |= setting.overrides
        return {"overrides": found}

    return arguments


def _refused_overrides(guest: Guest) -> Arguments:
    return {"overrides": {**_overrides("restart")(guest)["overrides"], **guest.datastore.refused[0].overrides}}


def _written(*names: str) -> Callable[[Guest], object]:
    return lambda guest: guest.do("update_overrides", _overrides(*names)(guest))


def plain(guest: Guest) -> None:
    """The server runs on the flavour, with nothing of the user's."""
    if guest.supports("reset_configuration"):
        guest.do("reset_configuration", configuration={"config_contents": guest.datastore.config_contents})
    if guest.supports("update_overrides"):
        guest.do("update_overrides", overrides={}, remove=True)
    guest.do("restart")


_CONFIGURATION = ("update_overrides", "restart")

CONFIGURATION = [
    Scenario("write overrides", "update_overrides", _overrides("restart"), plain, ("restart",), ("restart", "setting")),
    Scenario(
        "write overrides that the server refuses",
        "update_overrides",
        _refused_overrides,
        plain,
        ("restart",),
        ("refused", "restart"),
        fails=True,
    ),
    Scenario(
        "apply overrides",
        "apply_overrides",
        _overrides("live"),
        in_order(plain, _written("live")),
        _CONFIGURATION,
        ("live", "setting"),
    ),
    Scenario(
        "apply overrides that the server refuses",
        "apply_overrides",
        _overrides("refused_live"),
        in_order(plain, _written("refused_live")),
        _CONFIGURATION,
        ("refused_live",),
        fails=True,
    ),
    Scenario(
        "write the base configuration",
        "reset_configuration",
        lambda guest: {"configuration": {"config_contents": None}},
        plain,
        _CONFIGURATION,
    ),
    Scenario(
        "let nobody write",
        "make_read_only",
        lambda guest: {"read_only": True},
        in_order(does("make_read_only", read_only=False), plain),
        ("restart",),
    ),
    Scenario(
        "let everybody write",
        "make_read_only",
        lambda guest: {"read_only": False},
        in_order(plain, does("make_read_only", read_only=True)),
        ("restart",),
    ),
]
