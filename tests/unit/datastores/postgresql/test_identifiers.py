"""Names: what is refused, and how SQL and the control plane say the others."""

import pytest
from guestagent_postgresql.identifiers import (
    LONGEST,
    check_database,
    check_host,
    check_user,
    is_anywhere,
    literal,
    owner_name,
    quoted,
)

from guestagent.contract.errors import InvalidValue


@pytest.mark.parametrize(
    ("name", "found"), [("plain", '"plain"'), ('a"b', '"a""b"'), ("Mixed Case", '"Mixed Case"'), ("a:b", '"a:b"')]
)
def test_a_name_is_quoted(name: str, found: str) -> None:
    assert quoted(name) == found


@pytest.mark.parametrize(("text", "found"), [("it's", "'it''s'"), ("back\\slash", "'back\\slash'"), ("", "''")])
def test_a_text_is_quoted(text: str, found: str) -> None:
    assert literal(text) == found


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "a\0", "a\nb", "a\x7f", "\u2028", "\ud800"])
def test_a_name_that_no_server_has_is_refused(name: str) -> None:
    for check in (check_user, check_database):
        with pytest.raises(InvalidValue) as refused:
            check(name)
        str(refused.value).encode()


@pytest.mark.parametrize("name", ["pg_x", "PG_X", "owner_of_shop"])
def test_names_of_the_server_and_of_owners_are_no_users(name: str) -> None:
    with pytest.raises(InvalidValue):
        check_user(name)
    assert check_database(name) == name


@pytest.mark.parametrize("host", [None, "", "%"])
def test_anywhere_is_the_only_host(host: str | None) -> None:
    check_host(host)
    assert is_anywhere(host)


@pytest.mark.parametrize("database", ["shop", "x" * 63, "é" * 31, "名" * 21])
def test_the_name_of_an_owner_fits(database: str) -> None:
    name = owner_name(database)
    assert len(name.encode()) <= LONGEST
    assert f"owner_of_{database}".startswith(name)
