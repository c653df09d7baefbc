"""Accounts: what is refused before any command runs, and what is left alone."""

import pwd
from pathlib import Path

import pytest

from guestagent.contract.errors import InvalidValue
from guestagent.system import accounts


@pytest.mark.parametrize("name", ["", "-o", "--root=/x", "a b", "a:b", "a\n", "Ä", "1st", "x" * 33, "../x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        accounts.ensure(name, Path("/nonexistent"))


def test_an_account_that_exists_stays_as_it_is() -> None:
    before = pwd.getpwnam("daemon")
    accounts.ensure("daemon", Path("/nonexistent"))
    assert pwd.getpwnam("daemon") == before
