"""Modules."""

from guestagent.conformance.guest import Guest
from guestagent.conformance.suite import modules
from guestagent.conformance.suite.scenarios.scenario import Scenario, does


def _no_modules(guest: Guest) -> None:
    for found in guest.do("module_list"):
        guest.do("module_remove", module={"module": {key: found[key] for key in ("id", "name", "type")}})


MODULES = [
    Scenario(
        "apply a module",
        "module_apply",
        lambda guest: {"modules": [modules.module()]},
        _no_modules,
        ("module_list", "module_remove"),
    ),
    Scenario(
        "remove a module",
        "module_remove",
        lambda guest: {"module": modules.module()},
        does("module_apply", modules=[modules.module()]),
        ("module_list", "module_apply"),
    ),
]
