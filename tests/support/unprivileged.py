"""Somebody who can do nothing on the machine but own a directory."""

import importlib
import multiprocessing
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path

from guestagent.conformance.directories import reachable_directory

NOBODY = "nobody"
SECONDS = 120


def live_as_nobody(life: Callable[[Path], None]) -> None:
    """Have something done in a directory of its own by an account that is not root; needs root.

    :raises AssertionError: it raised, or took too long.
    """
    account = pwd.getpwnam(NOBODY)
    with reachable_directory() as directory:
        os.chown(directory, account.pw_uid, account.pw_gid)
        process = multiprocessing.get_context("fork").Process(target=_become, args=(account, life, directory))
        process.start()
        process.join(SECONDS)
        assert process.exitcode == 0


def _become(account: pwd.struct_passwd, life: Callable[[Path], None], directory: Path) -> None:
    # Loaded while the account can: what they load later may lie where only root looks.
    "".encode("idna")
    time.strptime("2026", "%Y")
    importlib.import_module("guestagent.system.past_cache")
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = str(directory)
    life(directory)
