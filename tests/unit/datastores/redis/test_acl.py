"""The file of users: what a claim makes of it, whoever has written it."""

import pytest
from guestagent_redis import acl
from guestagent_redis.administrator import Administrator

from guestagent.contract.errors import DatastoreDown, InvalidValue

CLAIM = "user agent on #1234 ~* &* +@all"
APP = "user app on sanitize-payload #5678 ~* &* +@all -@admin"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [acl.LOCKED, CLAIM]),
        (f"{APP}\n", [APP, acl.LOCKED, CLAIM]),
        ("user default on nopass ~* &* +@all\n", [acl.LOCKED, CLAIM]),
        ("user default on #9abc ~* &* +@all\n", ["user default on #9abc ~* &* +@all", CLAIM]),
        (f"user agent on >stolen +@all\n{APP}\n{acl.LOCKED}\n", [APP, acl.LOCKED, CLAIM]),
        ("# a comment\nnonsense\n\nuser\n", [acl.LOCKED, CLAIM]),
    ],
)
def test_the_agent_is_in_and_nobody_without_a_password(text: str, expected: list[str]) -> None:
    made = acl.claimed(text, "agent", CLAIM)
    assert made.splitlines() == expected
    assert acl.claimed(made, "agent", CLAIM) == made


def test_rules_are_what_follows_the_name() -> None:
    assert acl.name_of(APP) == "app"
    assert acl.rules_of(APP) == ["on", "sanitize-payload", "#5678", "~*", "&*", "+@all", "-@admin"]


@pytest.mark.parametrize("name", ["app", "o'brien", "数据库", "-@all", "x" * 128])
def test_a_name_that_can_be(name: str) -> None:
    assert acl.check_name(name, {"default"}) == name


@pytest.mark.parametrize("name", ["", "a b", "a\u00a0b", "a\n", "a\0", "\u202e", "\ud800", "x" * 129, "default"])
def test_a_name_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        acl.check_name(name, {"default"})
    str(refused.value).encode()


def test_the_digest_is_the_servers() -> None:
    assert acl.digest("password", "it") == "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


def test_the_agents_password_is_in_one_file_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("state")
    administrator = Administrator("agent", directory / "credentials", directory / "socket", "redis")
    with pytest.raises(DatastoreDown, match="no password"):
        administrator.password()
    administrator.renew()
    first = administrator.password()
    assert administrator.credentials.stat().st_mode & 0o777 == 0o600
    assert administrator.claim() == f"user agent on #{acl.digest(first, 'it')} ~* &* +@all"
    administrator.renew()
    assert administrator.password() != first
