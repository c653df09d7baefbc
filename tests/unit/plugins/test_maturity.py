"""How far a plugin is to be trusted, by what its distribution declares."""

import configparser

import pytest

from guestagent.plugins.maturity import LEVELS, Maturity
from tests.support.environments import ROOT

STATUS = "Development Status :: "
TREE = sorted(
    settings
    for pattern in (".", "guestagent/*", "elements", "datastores/*", "strategies/*/*", "examples/*")
    for settings in ROOT.glob(f"{pattern}/setup.cfg")
)


@pytest.mark.parametrize(
    ("statuses", "level"),
    [
        ([], "experimental"),
        (["1 - Planning"], "experimental"),
        (["2 - Pre-Alpha"], "experimental"),
        (["3 - Alpha"], "experimental"),
        (["4 - Beta"], "technical-preview"),
        (["5 - Production/Stable"], "stable"),
        (["6 - Mature"], "stable"),
        (["7 - Inactive"], "experimental"),
        (["5 - production/stable"], "experimental"),
        (["5 - Production/Stable", "4 - Beta"], "technical-preview"),
        (["5 - Production/Stable", "3 - Alpha"], "experimental"),
    ],
)
def test_a_level_is_declared_by_a_classifier(statuses: list[str], level: str) -> None:
    classifiers = ["Topic :: Database", *(f"{STATUS}{status}" for status in statuses)]

    assert Maturity.of(classifiers) is Maturity(level)


def test_levels_are_in_order() -> None:
    assert sorted(Maturity) == [Maturity.EXPERIMENTAL, Maturity.TECHNICAL_PREVIEW, Maturity.STABLE]


@pytest.mark.parametrize("settings", TREE, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_every_distribution_of_the_tree_declares_one(settings: object) -> None:
    parser = configparser.ConfigParser()
    parser.read(str(settings))
    declared = [line for line in parser["metadata"]["classifiers"].splitlines() if line.startswith(STATUS)]

    assert len(declared) == 1
    assert declared[0] in {*LEVELS, f"{STATUS}3 - Alpha"}
    assert Maturity.of(declared) < Maturity.STABLE, "there are no rules by which it could be"
