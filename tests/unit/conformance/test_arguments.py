"""Arguments of which only the types matter: what a call cannot do without is accepted, what is ill-typed is not."""

import pytest

from guestagent.conformance.arguments import ill_typed, least
from guestagent.contract import CALLS, Call
from guestagent.contract.errors import InvalidArguments

EVERY_CALL = pytest.mark.parametrize("declared", CALLS, ids=lambda declared: declared.name)


@EVERY_CALL
def test_the_least_that_a_call_needs_is_accepted(declared: Call) -> None:
    declared.bind(least(declared))


@EVERY_CALL
def test_an_ill_typed_argument_is_refused(declared: Call) -> None:
    wrong = ill_typed(declared)
    if wrong is None:
        assert not declared.arguments.__struct_fields__
    else:
        with pytest.raises(InvalidArguments):
            declared.bind(wrong)


@EVERY_CALL
def test_without_what_it_needs_it_is_refused(declared: Call) -> None:
    if least(declared):
        with pytest.raises(InvalidArguments):
            declared.bind({})
