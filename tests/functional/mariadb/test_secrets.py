"""Where passwords are, and where they never are: watched while everything happens that needs one."""

import logging
import stat
from collections.abc import Iterator

import pytest
from guestagent_mariadb import passwords

from guestagent.contract.errors import GuestAgentError
from guestagent.contract.users import PasswordChange, UserAttributes
from tests.functional.mariadb.machine import Machine, machine, prepare
from tests.support.machine import CONTEXT, user
from tests.support.onlooker import Onlooker

GIVEN = ["first-secret-of-app", "second-secret-of-app", "third-secret-of-app", "fourth-secret-of-app", "secret-of-root"]
ACCOUNTS_TABLE = "global_priv"


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Machine, set[bytes]]]:
    """A guest on which every kind of secret was used, and what an onlooker saw meanwhile."""
    caplog.set_level(logging.DEBUG)
    with machine() as made:
        with Onlooker() as seen:
            manager = made.manager()
            logs = "[mysqld]\nlog_bin = binlog\ngeneral_log = 1\nslow_query_log = 1\nlog_slow_admin_statements = 1\n"
            prepare(
                manager,
                config_contents=logs + "long_query_time = 0\nlog_output = FILE\n",
                users=[user("app", GIVEN[0])],
                root_password=GIVEN[4],
            )
            manager.change_passwords(CONTEXT, [PasswordChange("app", GIVEN[1])])
            manager.update_attributes(CONTEXT, "app", "%", UserAttributes(password=GIVEN[2]))
            next((made.volume / "data").glob("*_upgrade_info")).write_text("10.5.4-MariaDB")
            manager.upgrade(CONTEXT, {})
            with pytest.raises(GuestAgentError) as failed:
                manager.create_user(CONTEXT, [user("app", GIVEN[3])])
            assert GIVEN[3] not in str(failed.value)
            made.close()
        yield made, seen


def test_a_password_is_where_it_belongs_and_nowhere_else(
    watched: tuple[Machine, set[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    guest, seen = watched
    credentials = guest.manager().administrator.credentials
    own = guest.manager().administrator.password()
    texts = [secret.encode() for secret in (own, *GIVEN)]

    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert any(b"mariadb-upgrade" in shown for shown in seen), "the onlooker saw too little"
    for text in texts:
        assert not [shown for shown in seen if text in shown]
        assert text.decode() not in caplog.text
        holders = [path for path in guest.directory.rglob("*") if path.is_file() and text in path.read_bytes()]
        assert holders == ([credentials] if text == own.encode() else [])

    # Nor is the digest, which opens the door to who knows the protocol, where others than the server read.
    digest = passwords.digest(own, "the agent")[1:].encode()
    for path in guest.directory.rglob("*"):
        if path.is_file() and digest in path.read_bytes():
            assert path.is_relative_to(guest.volume / "data"), path
            assert path.stem.startswith((ACCOUNTS_TABLE, "aria_log")), path
    assert not list(guest.directory.rglob("*.sql"))
