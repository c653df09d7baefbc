"""Where passwords are, and where they never are: watched while everything happens that needs one."""

import logging

import pytest

from guestagent.contract.errors import GuestAgentError
from guestagent.contract.users import PasswordChange, UserAttributes
from tests.functional.postgresql.machine import machine, prepare
from tests.support.machine import CONTEXT, user
from tests.support.onlooker import Onlooker

GIVEN = ["first-secret-of-app", "second-secret-of-app", "third-secret-of-app", "fourth-secret-of-app", "secret-of-root"]


def test_a_password_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with machine() as made:
        with Onlooker() as seen:
            manager = made.manager()
            logs = "log_statement = all\nlog_min_duration_statement = 0\nlog_min_messages = debug1\n"
            prepare(manager, config_contents=logs, users=[user("app", GIVEN[0])], root_password=GIVEN[4])
            manager.change_passwords(CONTEXT, [PasswordChange("app", GIVEN[1])])
            manager.update_attributes(CONTEXT, "app", "%", UserAttributes(password=GIVEN[2]))
            with pytest.raises(GuestAgentError) as failed:
                manager.create_user(CONTEXT, [user("app", GIVEN[3])])
            assert made.ask("app", GIVEN[2], "SELECT 1") == [[1]]
        assert GIVEN[3] not in str(failed.value)
        made.close()

        assert any(b"postgres" in shown for shown in seen), "the onlooker saw too little"
        for text in (secret.encode() for secret in GIVEN):
            assert not [shown for shown in seen if text in shown]
            assert text.decode() not in caplog.text
            assert not [path for path in made.directory.rglob("*") if path.is_file() and text in path.read_bytes()]
        # Nor is what the server keeps of it where others than the server read.
        for path in made.directory.rglob("*"):
            if path.is_file() and b"SCRAM-SHA-256$" in path.read_bytes():
                assert path.is_relative_to(made.volume / "data"), path
        assert "SCRAM-SHA-256$" not in caplog.text
