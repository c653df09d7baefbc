"""The agent's own user of the server: its password is made, kept and never told."""

import stat
from pathlib import Path

import pytest
from guestagent_mariadb import passwords
from guestagent_mariadb.administrator import Administrator

from guestagent.contract.errors import DatastoreDown, InvalidValue


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator("guestagent", tmp_path / "administrator.cnf", Path("/run/with blank/server.sock"))


def test_without_a_password_the_server_is_out_of_reach(administrator: Administrator) -> None:
    with pytest.raises(DatastoreDown, match=r"administrator\.cnf"):
        administrator.password()


def test_a_password_is_kept_for_the_agent_alone(administrator: Administrator) -> None:
    digest = administrator.renew()
    assert stat.S_IMODE(administrator.credentials.stat().st_mode) == 0o600
    assert passwords.digest(administrator.password(), "it") == digest
    assert len(administrator.password()) >= 32


def test_every_password_is_another(administrator: Administrator) -> None:
    assert administrator.renew() != administrator.renew()


def test_the_server_is_told_the_digest_only(administrator: Administrator) -> None:
    digest = administrator.renew()
    claim = administrator.claim(digest)
    assert digest in claim
    assert administrator.password() not in claim
    assert claim.startswith("SET SESSION sql_log_bin = 0;\n")


def test_a_digest_is_the_servers_own() -> None:
    # SELECT PASSWORD('password')
    assert passwords.digest("password", "it") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


@pytest.mark.parametrize("password", [None, "", "nul\0", "\ud800"])
def test_what_is_no_password_has_no_digest(password: str | None) -> None:
    with pytest.raises(InvalidValue, match="of bob"):
        passwords.digest(password, "bob")
