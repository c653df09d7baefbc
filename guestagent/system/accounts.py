"""The accounts that database servers run as."""

import grp
import pwd
import re
from pathlib import Path

from oslo_log import log

from guestagent.contract.errors import InvalidValue
from guestagent.system import command

LOG = log.getLogger(__name__)

NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
TIMEOUT = 60


def ensure(user: str, home: Path) -> None:
    """Make a system account with a group of its own that nobody can log in to.

    One that exists, as a database's package makes it, stays as it is.

    :param home: its home directory; not created.
    :raises InvalidValue: the name is none that useradd(8) takes.
    :raises SystemFailure: it cannot be made, for example because the agent is not root.
    """
    if not NAME.fullmatch(user):
        raise InvalidValue(subject=f"The account name {user!r}", problem="it must match [a-z_][a-z0-9_-]*, 32 at most")
    if _exists(user):
        return
    group = ["--gid", user] if _group_exists(user) else ["--user-group"]
    argv = ["useradd", "--system", *group, "--home-dir", str(home), "--no-create-home"]
    command.run([*argv, "--shell", "/usr/sbin/nologin", "--", user], timeout=TIMEOUT)
    LOG.info("Made the system account %s", user)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
