"""Where passwords are, and where they never are: watched while everything happens that needs one."""

import hashlib
import logging
import stat
from pathlib import Path

import pytest

from guestagent.contract.errors import GuestAgentError
from guestagent.contract.users import PasswordChange, UserAttributes
from tests.functional.redis.machine import machine, prepare
from tests.support.machine import CONTEXT, user
from tests.support.onlooker import Onlooker

GIVEN = ["first-secret-of-app", "second-secret-of-app", "third-secret-of-app", "fourth-secret-of-app", "secret-of-root"]


def files_with(directory: Path, text: str) -> list[Path]:
    """The files that hold a text."""
    return [path for path in directory.rglob("*") if path.is_file() and text in path.read_text("latin1")]


def test_a_password_is_where_it_belongs_and_nowhere_else(datastore: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with machine(datastore=datastore) as guest:
        with Onlooker() as seen:
            manager = guest.manager()
            base = "loglevel debug\nslowlog-log-slower-than 0\n"
            prepare(manager, config_contents=base, users=[user("app", GIVEN[0])], root_password=GIVEN[4])
            manager.change_passwords(CONTEXT, [PasswordChange("app", GIVEN[1])])
            manager.update_attributes(CONTEXT, "app", "%", UserAttributes(password=GIVEN[2]))
            manager.restart(CONTEXT)
            with pytest.raises(GuestAgentError) as failed:
                manager.create_user(CONTEXT, [user("app", GIVEN[3])])
            assert GIVEN[3] not in str(failed.value)
            slow = str(manager.client.ask("Looking", "SLOWLOG", "GET", "-1"))
        credentials = manager.administrator.credentials
        own = manager.administrator.password()

        assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
        assert any(f"{datastore}-server".encode() in shown for shown in seen), "the onlooker saw too little"
        for text in (own, *GIVEN):
            assert not [shown for shown in seen if text.encode() in shown]
            assert text not in caplog.text
            assert text not in slow
            assert files_with(guest.directory, text) == ([credentials] if text == own else [])
        # What the server keeps of them opens nothing, and is in its own file.
        assert files_with(guest.directory, hashlib.sha256(own.encode()).hexdigest()) == [manager.layout.users_file]
        assert not stat.S_IMODE(manager.layout.users_file.stat().st_mode) & 0o037
