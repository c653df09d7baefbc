"""A replication slot that keeps the server's write-ahead log for as long as a backup is made."""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from guestagent.contract.errors import SystemFailure
from guestagent.system import waiting
from guestagent.system.stream import Consumer

POLL_SECONDS = 0.05


@contextlib.contextmanager
def held(program: str, service: str, user: str | None, environment: Mapping[str, str], scratch: Path) -> Iterator[None]:
    """Keep the log from now on until the block is left.

    The slot is a temporary one: it belongs to a session of psql that does nothing else, and is gone with it, also when
    everything here is killed.

    :param program: psql.
    :param service: names the server.
    :param scratch: a directory of the server's account.
    :raises SystemFailure: the server has no slot left, or refuses, in its own words.
    """
    made = scratch / "slot"
    name = f"guestagent_backup_{secrets.token_hex(4)}"
    statement = f"SELECT pg_create_physical_replication_slot('{name}', true, true) \\g '{made}'\n"
    argv = [program, "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname=service={service}"]
    with Consumer(argv, user=user, environment=environment) as session:
        session.write(statement.encode())
        while not (made.exists() and made.stat().st_size):
            if session.ended:
                session.finish()
                raise SystemFailure(subject=session.program, problem="it ended without having made a replication slot")
            waiting.pause(POLL_SECONDS)
        yield
        session.finish()
