"""An agent that is not root manages a server of its own account."""

import multiprocessing
import os
import pwd
from pathlib import Path

import pytest

from guestagent.conformance.directories import reachable_directory
from guestagent.contract.databases import Database
from guestagent.contract.states import ServiceStatus
from tests.functional.postgresql.machine import CONTEXT, PASSWORD, Machine, prepare, user

NOBODY = "nobody"


def _live(directory: str) -> None:
    """A guest's life, as an account that can do nothing but own the directory."""
    "".encode("idna")  # loaded while the account can: its modules may lie where only root looks
    account = pwd.getpwnam(NOBODY)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = directory
    guest = Machine(Path(directory))
    try:
        manager = guest.manager()
        prepare(manager, databases=[Database("own")], users=[user("owner", databases=("own",))])
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        manager.update_overrides(CONTEXT, {"max_connections": 55})
        manager.restart(CONTEXT)
        assert guest.ask("owner", PASSWORD, "SHOW max_connections", "own") == [["55"]]
        manager.guest_log_action(CONTEXT, "general", enable=1, publish=1)
        manager.upgrade(CONTEXT, {})
        assert manager.service_status() is ServiceStatus.HEALTHY
    finally:
        guest.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else; every other test is this one then")
def test_an_agent_without_root_does_all_but_volumes() -> None:
    with reachable_directory() as directory:
        account = pwd.getpwnam(NOBODY)
        os.chown(directory, account.pw_uid, account.pw_gid)
        life = multiprocessing.get_context("fork").Process(target=_live, args=(str(directory),))
        life.start()
        life.join(120)
        assert life.exitcode == 0
