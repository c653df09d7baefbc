"""Names: what is let through, and how it is written."""

import pytest
from guestagent_mariadb import identifiers

from guestagent.contract.errors import InvalidValue


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("plain", "`plain`"), ("a`b", "`a``b`"), ("``", "``````"), ("50%", "`50%%`"), ("a'b\"c\\d", "`a'b\"c\\d`")],
)
def test_an_identifier_cannot_end_early(name: str, quoted: str) -> None:
    assert identifiers.quoted(name) == quoted
    assert quoted % () == "`" + name.replace("`", "``") + "`"


@pytest.mark.parametrize("name", ["a_b", "a%b", "a\\b", "a\\_b", "\\\\%_", "plain", "_", "%", "\\"])
def test_a_pattern_means_one_name_and_back(name: str) -> None:
    pattern = identifiers.literal_pattern(name)
    assert identifiers.database_of(pattern) == name
    assert len(pattern) == len(name) + sum(name.count(wildcard) for wildcard in "_%\\")


def test_a_pattern_that_was_not_meant_so_stands_for_itself() -> None:
    assert identifiers.database_of("my_db") == "my_db"


def test_a_pattern_that_the_server_would_cut_is_refused() -> None:
    assert len(identifiers.literal_pattern("_" * 32)) == 64
    with pytest.raises(InvalidValue):
        identifiers.literal_pattern("_" * 33)


@pytest.mark.parametrize("name", ["a", "a b", "a'b", "名前", "ﷺ", "x" * 64])
def test_names_that_a_server_can_have(name: str) -> None:
    assert identifiers.check_database(name) == name
    assert identifiers.check_user(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a\0", "\x7f", "\x9b", "\u2028", "\u0085a", "😀", "\udc00", "a\nb", "x" * 129]
)
def test_names_that_a_server_cannot_have(name: str) -> None:
    for check in (identifiers.check_database, identifiers.check_user):
        with pytest.raises(InvalidValue) as refused:
            check(name)
        assert len(str(refused.value).encode()) < 500


def test_users_may_have_longer_names_than_databases() -> None:
    assert identifiers.check_user("x" * 128)
    with pytest.raises(InvalidValue, match="65"):
        identifiers.check_database("x" * 65)


@pytest.mark.parametrize(
    ("host", "kept"), [(None, "%"), ("", "%"), ("%", "%"), ("DB.example.Com", "db.example.com"), ("fe80::1", "fe80::1")]
)
def test_a_host_is_kept_as_the_server_keeps_it(host: str | None, kept: str) -> None:
    assert identifiers.check_host(host) == kept


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "a b", "a'", "%\n", "x" * 256, "ß"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(InvalidValue):
        identifiers.check_host(host)
