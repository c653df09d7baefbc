"""Accounts that are really made, and removed again."""

import os
import pwd
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.system import accounts, command

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make accounts")


@pytest.fixture
def name() -> Iterator[str]:
    chosen = f"ga-test-{uuid.uuid4().hex[:8]}"
    yield chosen
    subprocess.run(["userdel", chosen], check=False, capture_output=True, timeout=60)
    subprocess.run(["groupdel", chosen], check=False, capture_output=True, timeout=60)


@pytest.mark.parametrize("group_exists", [False, True])
def test_a_system_account_nobody_can_log_in_to(name: str, tmp_path: Path, group_exists: bool) -> None:
    if group_exists:
        subprocess.run(["groupadd", "--system", name], check=True, timeout=60)
    home = tmp_path / "home"
    accounts.ensure(name, home)
    account = pwd.getpwnam(name)
    assert account.pw_uid < 1000
    assert account.pw_dir == str(home)
    assert account.pw_shell == "/usr/sbin/nologin"
    assert not home.exists()
    assert command.run(["id", "-gn"], timeout=10, user=name).stdout.strip() == name
    accounts.ensure(name, home)
    assert pwd.getpwnam(name) == account
