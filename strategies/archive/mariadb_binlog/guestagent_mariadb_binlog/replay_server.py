"""A server on restored data that is seen by nobody else, and a client that carries out what it is fed."""

import contextlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from guestagent.backup.base import Server
from guestagent.capabilities.error_log import ErrorLog
from guestagent.capabilities.scratch import wait_until_answers
from guestagent.contract.errors import DatastoreDown
from guestagent.system import command, files
from guestagent.system.stream import Consumer, Producer

HELPER = "guestagent_replay"
"""The user who carries out the statements, gone when the server stops."""
_ME = f"`{HELPER}`@`localhost`"
PASSWORD_BYTES = 24
STATEMENT_SECONDS = 600
DATASTORE = "MariaDB"
"""As errors name it."""
ERROR = re.compile(r"\[ERROR\] (.*)")


class ReplayServer:
    """The programs of a replay.

    :param program: of the server.
    :param client: talks to it.
    :param server: whose account they run as, and whose configuration they read.
    :param scratch: an empty directory of the account with a short name.
    :param memory: MiB for the data.
    :param timeout: seconds in which the server comes up.
    """

    def __init__(self, *, program: str, client: str, server: Server, scratch: Path, memory: int, timeout: int) -> None:
        self._program, self._client = program, client
        self._server = server
        self._scratch = scratch
        self._memory = memory
        self._timeout = timeout
        self._log_file = scratch / "server.log"
        self._log = ErrorLog(self._log_file, ERROR)

    @contextlib.contextmanager
    def running(self, target: Path) -> Iterator[Consumer]:
        """The client of a server on the data; it stops at the first statement that fails.

        The server is stopped in order at the end of the block, and killed on an error.

        :raises DatastoreError: it does not come up, or ends before it was asked to.
        """
        self._write_files()
        with Producer(self._argv(target), user=self._server.account) as program:
            wait_until_answers(self._greet, program, self._log, self._timeout, DATASTORE)
            feed = [*self._asking, "--binary-mode", "--local-infile=1", "--max-allowed-packet=1G"]
            with Consumer(feed, user=self._server.account) as client:
                yield client
            # Who is let in may stay until the end.
            self._tell(f"DROP USER {_ME};\nSHUTDOWN;\n")
            with self._log.explaining("Stopping the server of the replay"):
                program.finish()

    def _write_files(self) -> None:
        # Plugins that judge passwords are content with it.
        password = f"Aa1-{secrets.token_hex(PASSWORD_BYTES)}"
        contents = {
            self._helper: f"[client]\nsocket = {self._socket}\nuser = {HELPER}\npassword = {password}\n",
            # Who gives a right away must have it; the right to be anybody is not one of all.
            self._opening: f"CREATE OR REPLACE USER {_ME} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {_ME} WITH GRANT OPTION;\n"
            f"GRANT PROXY ON ''@'%' TO {_ME} WITH GRANT OPTION;\n",
        }
        for path, content in contents.items():
            files.write(path, content, mode=0o600, owner=self._server.account, group=self._server.account)

    def _argv(self, target: Path) -> list[str]:
        configuration = self._server.configuration
        return [
            self._program,
            # What shapes the data, and what they need to be read.
            f"--defaults-file={configuration}" if configuration else "--no-defaults",
            f"--datadir={target}",
            f"--socket={self._socket}",
            f"--pid-file={self._scratch / 'server.pid'}",
            f"--log-error={self._log_file}",
            f"--tmpdir={self._scratch}",
            f"--init-file={self._opening}",
            "--skip-networking",
            "--skip-log-bin",
            "--skip-slave-start",
            "--skip-general-log",
            "--skip-slow-query-log",
            "--skip-performance-schema",
            "--read-only=OFF",
            "--event-scheduler=OFF",
            "--local-infile=ON",
            "--max-allowed-packet=1G",
            "--max-statement-time=0",
            # The next log may be long in coming.
            "--wait-timeout=31536000",
            # Rows that an older server took are taken.
            "--skip-innodb-strict-mode",
            # What a crash would leave is thrown away.
            "--innodb-flush-log-at-trx-commit=0",
            f"--innodb-buffer-pool-size={self._memory}M",
        ]

    @property
    def _socket(self) -> Path:
        return self._scratch / "s"

    @property
    def _helper(self) -> Path:
        """The helper's credentials."""
        return self._scratch / "helper.cnf"

    @property
    def _opening(self) -> Path:
        """The statements that make the helper, before the server lets anybody in."""
        return self._scratch / "opening.sql"

    @property
    def _asking(self) -> list[str]:
        return [self._client, f"--defaults-file={self._helper}", "--batch"]

    def _tell(self, statements: str) -> None:
        command.run(self._asking, stdin=statements.encode(), timeout=STATEMENT_SECONDS, user=self._server.account)

    def _greet(self) -> None:
        argv, user = self._asking, self._server.account
        done = command.run(argv, stdin=b"SELECT 1;", timeout=STATEMENT_SECONDS, user=user, accept=(0, 1))
        if done.code:
            raise DatastoreDown(datastore=DATASTORE, problem=command.reason(done.code, done.stderr, ""))
