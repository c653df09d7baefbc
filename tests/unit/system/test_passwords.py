"""Passwords: those that the agent makes, and those that no client could send."""

import pytest

from guestagent.contract.errors import InvalidValue
from guestagent.system import passwords


def test_a_generated_password_is_new_and_needs_no_quotes() -> None:
    made = {passwords.generated() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 32 and one.replace("-", "").replace("_", "").isalnum() for one in made)


@pytest.mark.parametrize("password", [None, "", "nul\0", "\ud800"])
def test_what_no_client_could_send_is_refused_without_quoting_it(password: str | None) -> None:
    with pytest.raises(InvalidValue, match="password of bob") as refused:
        passwords.encoded(password, "bob")
    assert not password or password not in str(refused.value)


def test_a_password_of_any_alphabet_is_taken() -> None:
    assert passwords.encoded("Grüße 数据库", "bob") == "Grüße 数据库".encode()
