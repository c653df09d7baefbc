"""The errors: one id each, and sentences that can travel."""

import json
import string

import pytest

from guestagent.contract import errors
from guestagent.contract.errors import GuestAgentError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GuestAgentError)]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def facts_of(kind: type[GuestAgentError]) -> dict[str, object]:
    """What the sentence of a class needs; every number is 1."""
    fields = [(name, spec) for _, name, spec, _ in string.Formatter().parse(kind.sentence) if name]
    return {name: 1 if spec else "x" for name, spec in fields}


def test_ids_are_unique() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)


@every_kind
def test_a_sentence_is_what_a_person_reads(kind: type[GuestAgentError]) -> None:
    sentence = str(kind(**facts_of(kind)))
    assert sentence[0].isupper() or sentence[0] in "'x"
    assert sentence.endswith(".")
    assert "{" not in sentence


@every_kind
def test_an_error_can_always_be_answered(kind: type[GuestAgentError]) -> None:
    # A reply whose arguments are no JSON is never sent, and the caller waits for its whole time-out.
    json.dumps(kind(**facts_of(kind)).args)


def test_facts_that_are_bytes_do_not_get_in_the_way_of_the_answer() -> None:
    json.dumps(errors.InvalidValue(subject=b"\xff", problem=b"\xfe").args)


def test_braces_in_facts_are_no_fields() -> None:
    assert "{subject} {0}" in str(errors.NotFound(subject="{subject} {0}"))


def test_a_missing_fact_is_a_mistake_that_shows_at_once() -> None:
    with pytest.raises(KeyError):
        errors.NotFound()
