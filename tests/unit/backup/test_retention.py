"""Which backups go, and why; what another one needs never does."""

import random

import msgspec
import pytest

from guestagent.backup.manifest import FULL, INCREMENTAL, SCHEMA, Manifest
from guestagent.backup.retention import Decision, Rule, built_on, decide, removal_order
from guestagent.contract.errors import InvalidValue

DAY = 24 * 3600.0
NOW = 1_700_000_000.0


def backup(name: str, days: float, parent: str | None = None, instance: str = "i") -> Manifest:
    """A backup whose data are so many days old."""
    ended = NOW - days * DAY
    return Manifest(
        schema=SCHEMA,
        id=name,
        instance_id=instance,
        strategy="s",
        strategy_version=1,
        datastore="d",
        datastore_version="1",
        kind=INCREMENTAL if parent else FULL,
        parent=parent,
        parent_location=None,
        started=ended - 60,
        ended=ended,
        size=1,
        sha256="",
        stored=1,
        compression="none",
        encryption=None,
        segments=[],
    )


def gone(decisions: list[Decision]) -> str:
    """The names of those that go."""
    return "".join(one.backup.id for one in decisions if one.removed)


def reasons(decisions: list[Decision]) -> dict[str, str]:
    return {one.backup.id: one.reason for one in decisions}


FULLS = [backup(name, days) for name, days in zip("abcd", (40, 30, 20, 10), strict=True)]
CHAIN = [backup("a", 40), backup("b", 30, "a"), backup("c", 20, "b"), backup("d", 10)]


def test_the_newest_stay() -> None:
    decisions = decide(FULLS, [], NOW, Rule(newest=2))
    assert gone(decisions) == "ab"
    assert reasons(decisions)["a"] == "not among the newest 2 of its instance"
    assert reasons(decisions)["d"] == "among the newest 2 of its instance"
    assert [one.backup for one in decisions] == FULLS


def test_the_newest_are_those_that_were_begun_last() -> None:
    ended = NOW - DAY
    backups = [
        msgspec.structs.replace(backup(name, 1), started=ended - at, ended=ended) for name, at in (("a", 1), ("z", 9))
    ]
    assert gone(decide(backups, [], NOW, Rule(newest=1))) == "z"


def test_the_young_stay() -> None:
    assert gone(decide(FULLS, [], NOW, Rule(younger=25 * DAY))) == "ab"
    assert gone(decide(FULLS, [], NOW, Rule(younger=5 * DAY))) == "abcd"
    assert gone(decide(FULLS, [], NOW, Rule(younger=0))) == "abcd"


def test_one_that_is_of_the_future_is_young() -> None:
    assert gone(decide([backup("a", -3)], [], NOW, Rule(younger=1))) == ""


def test_with_both_halves_one_is_enough_to_stay() -> None:
    assert gone(decide(FULLS, [], NOW, Rule(newest=1, younger=25 * DAY))) == "ab"
    assert gone(decide(FULLS, [], NOW, Rule(newest=3, younger=5 * DAY))) == "a"


def test_a_rule_that_keeps_nothing_is_none() -> None:
    with pytest.raises(InvalidValue):
        Rule()


def test_what_a_kept_one_builds_on_stays() -> None:
    decisions = decide(CHAIN, [], NOW, Rule(newest=2))
    assert gone(decisions) == ""
    assert reasons(decisions)["a"] == "'c' builds on it"
    assert reasons(decisions)["b"] == "'c' builds on it"


def test_a_chain_of_which_nothing_is_kept_goes_as_a_whole() -> None:
    assert gone(decide(CHAIN, [], NOW, Rule(newest=1))) == "abc"


def test_the_end_of_a_chain_goes_before_its_beginning() -> None:
    chain = [backup("a", 1), backup("b", 40, "a")]
    assert gone(decide(chain, [], NOW, Rule(younger=10 * DAY))) == "b"


def test_a_pinned_one_stays_with_what_it_builds_on() -> None:
    decisions = decide(CHAIN, {"b", "no-such-one"}, NOW, Rule(newest=1))
    assert gone(decisions) == "c"
    assert reasons(decisions)["b"] == "pinned"
    assert reasons(decisions)["a"] == "'b' builds on it"


def test_each_instance_has_its_own_newest() -> None:
    shared = [backup("a", 40, instance="one"), *[backup(name, 1, instance="two") for name in "xyz"]]
    assert gone(decide(shared, [], NOW, Rule(newest=1))) == "xy"


def test_one_that_cannot_be_restored_is_no_substitute_for_another_one() -> None:
    backups = [backup("a", 30), backup("b", 20, "lost"), backup("c", 10, "b")]
    decisions = decide(backups, [], NOW, Rule(newest=1))
    assert gone(decisions) == ""
    assert reasons(decisions)["a"] == "among the newest 1 of its instance"
    assert "'lost' is gone" in reasons(decisions)["c"]


def test_backups_that_build_on_each_other_in_a_circle_are_told_from_chains() -> None:
    circle = [backup("a", 2, "b"), backup("b", 1, "a"), backup("c", 3, "c")]
    decisions = decide(circle, [], NOW, Rule(newest=9))
    assert gone(decisions) == ""
    assert all("is gone" in one.reason for one in decisions)
    assert {one.id for one in removal_order(circle)} == set("abc")


def test_those_that_build_on_others_are_removed_first() -> None:
    fork = [*CHAIN, backup("e", 5, "a")]
    for _ in range(10):
        random.shuffle(fork)
        assert "".join(one.id for one in removal_order(fork)) == "cbead"


def test_what_builds_directly_on_one_is_found() -> None:
    assert [one.id for one in built_on("a", CHAIN)] == ["b"]
    assert built_on("c", CHAIN) == []


@pytest.mark.parametrize("seed", range(50))
def test_no_rule_leaves_one_without_what_it_builds_on(seed: int) -> None:
    chance = random.Random(seed)
    backups: list[Manifest] = []
    for number in range(30):
        parent = chance.choice([None, *[one.id for one in backups]])
        backups.append(backup(str(number), 30 - number + chance.random(), parent))
    pinned = {one.id for one in backups if chance.random() < 0.1}
    decisions = decide(backups, pinned, NOW, Rule(chance.choice([None, 3]), chance.uniform(1, 20) * DAY))
    left = {one.backup.id for one in decisions if not one.removed}
    assert pinned <= left
    assert all(one.parent is None or one.parent in left for one in backups if one.id in left)
    # Whoever stops in the middle has whole chains too.
    present = {one.id for one in backups}
    for one in removal_order(each.backup for each in decisions if each.removed):
        present.remove(one.id)
        assert all(other.parent is None or other.parent in present for other in backups if other.id in present)
