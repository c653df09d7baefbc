"""What the server keeps of a password, beside what a server has made itself."""

import base64
import re

import pytest
from guestagent_postgresql import passwords

from guestagent.contract.errors import InvalidValue

FORM = re.compile(r"SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}")


# What PostgreSQL 15.18 keeps after CREATE ROLE r PASSWORD '...'.
MADE = {
    "Wee/sleekit 1": "SCRAM-SHA-256$4096:gEwetgNAFS0pl7f2zPPO+Q==$"
    "Xq45Q1EILuX8F9ulcM5y6h/Sesmm/RFPMhYp6QytHzM=:ZjynfdakVMj28pTRdeitxYfoHaTtG6zBS9d27OcJH7A=",
    "ﬁne\u00a0pass": "SCRAM-SHA-256$4096:6TJRnW8kokHGJdh6N565FQ==$"
    "KhaFqq3p+8XR10qWxPHf2V5mw5gswJf94DxKWoS0/5w=:zhqE6gAywtZI5OJwU2WkRlZX9R6gdi8PrHcJ0fPVKnE=",
}


@pytest.mark.parametrize("password", MADE)
def test_it_is_what_the_server_makes(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    salt = base64.b64decode(MADE[password].split(":")[1].split("$")[0])
    monkeypatch.setattr(passwords.os, "urandom", lambda count: salt)
    assert passwords.verifier(password, "somebody") == MADE[password]


def test_every_one_has_a_salt_of_its_own() -> None:
    first, second = (passwords.verifier("the same", "somebody") for _ in range(2))
    assert first != second


@pytest.mark.parametrize(("one", "other"), [("ﬁx", "fix"), ("a\u00adb", "ab"), ("a\u00a0b", "a b")])
def test_clients_may_spell_it_in_two_ways(monkeypatch: pytest.MonkeyPatch, one: str, other: str) -> None:
    monkeypatch.setattr(passwords.os, "urandom", bytes)
    assert passwords.verifier(one, "somebody") == passwords.verifier(other, "somebody")


@pytest.mark.parametrize("password", ["😀", "bell\a", "\u00ad"])
def test_what_cannot_be_prepared_is_taken_as_it_is(password: str) -> None:
    assert FORM.fullmatch(passwords.verifier(password, "somebody"))


@pytest.mark.parametrize("password", [None, "", "nul\0", "\ud800"])
def test_what_no_client_can_send_is_refused(password: str | None) -> None:
    with pytest.raises(InvalidValue, match="somebody"):
        passwords.verifier(password, "somebody")
