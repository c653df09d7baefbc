"""The server, asked through its own client program."""

import time
from pathlib import Path

from guestagent.contract.errors import DatastoreDown, DatastoreError
from guestagent.system import command, waiting

SECONDS = 60
PERIOD = 0.1
"""Seconds between two looks at how far the server is."""


class Console:
    """Asks a server as the administrator.

    :param program: the client, an absolute path.
    :param credentials: lines ``unixsocket PATH``, ``user NAME`` and ``password TEXT``.
    :param account: whom the client runs as; none: whom we do.
    :param datastore: what an error's sentence calls the server.
    """

    def __init__(self, program: str, credentials: Path, account: str | None, datastore: str) -> None:
        self._program = program
        self._known = dict(line.split(" ", 1) for line in credentials.read_text().splitlines())
        self._account = account
        self._datastore = datastore

    def ask(self, *words: str) -> str:
        """The reply to a command, an error as any other.

        :raises DatastoreDown: the server does not answer, or does not let the agent in.
        """
        # On its standard input: a password is in no command line.
        script = f"AUTH {self._known['user']} {self._known['password']}\n{' '.join(words)}\n"
        argv = [self._program, "-s", self._known["unixsocket"]]
        done = command.run(argv, timeout=SECONDS, stdin=script.encode(), user=self._account, accept=(0, 1))
        greeting, _, reply = done.stdout.partition("\n")
        if greeting != "OK":
            problem = done.stderr.strip() or greeting or "it said nothing"
            raise DatastoreDown(datastore=self._datastore, problem=problem)
        return reply.strip()

    def save(self, seconds: float) -> float:
        """Have the server write all data to its dump, and wait until it has.

        :param seconds: that it may take.
        :returns: when it began, in seconds since the epoch; the data are those of this moment.
        :raises DatastoreError: it cannot, or takes longer.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._wait_for_copies(deadline)
            begun = time.time()
            reply = self.ask("BGSAVE")
            if reply.startswith("Background saving started"):
                break
            if not _copies(self.persistence()):
                raise DatastoreError(subject="Saving the data", problem=reply)
        self._wait_for_copies(deadline)
        if self.persistence().get("rdb_last_bgsave_status") != "ok":
            raise DatastoreError(subject="Saving the data", problem="the server could not; the end of its log says why")
        return begun

    def persistence(self) -> dict[str, str]:
        """What the server knows of its saving."""
        lines = self.ask("INFO", "persistence").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def _wait_for_copies(self, deadline: float) -> None:
        while _copies(self.persistence()):
            if time.monotonic() > deadline:
                problem = "the server did not get to its end ([redis_rdb] save_timeout)"
                raise DatastoreError(subject="Saving the data", problem=problem)
            waiting.pause(PERIOD)


def _copies(known: dict[str, str]) -> list[str]:
    """Which copies of itself a server has at work; it has one at a time."""
    return [name for name in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress") if known.get(name) != "0"]
