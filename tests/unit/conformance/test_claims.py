"""Which tests of the kit are for a plugin: those of what it claims, as far as its author describes it."""

import textwrap
from pathlib import Path

import pytest

from guestagent.conformance.claims import claimed_by
from guestagent.conformance.datastore import NEEDED, Datastore, is_given
from guestagent.contract import CALLS
from tests.support.family import families

FILE = """
import pytest
from guestagent.conformance.claims import claims, given
from guestagent.conformance.datastore import Datastore, Setting

pytest_plugins = ("guestagent.conformance.plugin",)

class Sleeper(Datastore):
    name = "sleeper"
    live = Setting("a", 1)

DATASTORE = Sleeper

def test_always(): ...

@claims("create_database", "restart")
def test_of_claimed(): ...

@claims("create_database", "enable_root")
def test_of_one_unclaimed(): ...

@claims("create_backup")
def test_of_what_needs_a_strategy(): ...

@given("live")
def test_of_the_described(): ...

@given("live", "certificate")
def test_of_one_undescribed(): ...

@claims("enable_root")
class TestOfUnclaimed:
    def test_in_it(self): ...
    class TestInside:
        def test_in_that(self): ...

@claims("restart")
class TestOfClaimed:
    def test_all(self): ...
    @claims("enable_root")
    def test_one_unclaimed(self): ...

@pytest.mark.parametrize("claimed", ["restart", "enable_root"])
def test_each_claimed(claimed): ...

@pytest.mark.parametrize("unclaimed", ["restart", "enable_root"])
def test_each_unclaimed(unclaimed): ...

class Needs:
    def __init__(self, call, *given):
        self.claims, self.given = (call,), given

@pytest.mark.parametrize(
    "meant",
    [Needs("restart"), Needs("restart", "live"), Needs("restart", "certificate"), Needs("enable_root")],
    ids=["restart", "restart-live", "restart-certificate", "root"],
)
def test_each_that_is_meant(meant): ...
"""


class Described(Datastore):
    name = "sleeper"


def test_tests_are_chosen_by_claims_and_descriptions(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE)
    # A process of its own: what earlier tests of this one left behind would count as warnings here.
    found = pytester.runpytest_subprocess("-v", "--strict-markers", "-W", "error", "-p", "no:cacheprovider")
    found.assert_outcomes(passed=8, deselected=10)
    found.stdout.fnmatch_lines_random(
        [
            "*::test_always PASSED*",
            "*::test_of_claimed PASSED*",
            "*::test_of_the_described PASSED*",
            "*::TestOfClaimed::test_all PASSED*",
            "*::test_each_claimed?restart? PASSED*",
            "*::test_each_unclaimed?enable_root? PASSED*",
            "*::test_each_that_is_meant?restart? PASSED*",
            "*::test_each_that_is_meant?restart-live? PASSED*",
        ]
    )


def test_files_of_others_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_kit=FILE, test_other="def test_of_something_else(): ...\n")
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=9, deselected=10)


def test_a_plugin_that_is_not_installed_is_told_in_a_sentence(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE.replace('"sleeper"', '"of-no-package"'))
    found = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert found.ret is pytest.ExitCode.USAGE_ERROR
    assert "of-no-package" in found.stderr.str()
    assert "Traceback" not in found.stderr.str()


def test_what_an_image_has_no_strategy_for_is_not_claimed() -> None:
    family = families()[0]

    class Alone(Described):
        name = family.datastore

    class BackedUp(Alone):
        backup_strategy = family.strategies[0].partition("/")[2]

    assert claimed_by(BackedUp) - claimed_by(Alone) == {"create_backup"}


def test_what_is_needed_for_a_call_is_a_part_of_the_description() -> None:
    names = {declared.name for declared in CALLS}
    for part, calls in NEEDED.items():
        assert names.issuperset(calls)
        assert not is_given(Described, part)


def test_the_readme_names_what_there_is() -> None:
    kit = Path(__file__).parents[3] / "guestagent" / "conformance"
    text = (kit / "README.md").read_text()
    code = textwrap.dedent("".join(path.read_text() for path in kit.rglob("*.py")))
    for variable in ("TRANSPORT_URL", "GUESTAGENT_PYTHON", "TEST_ENGINE", "TEST_CRASH"):
        assert variable in text
        assert variable in code
