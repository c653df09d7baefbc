"""A server that fills a new data directory and is seen by nobody else."""

import contextlib
import os
import pwd
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from guestagent.capabilities.error_log import ErrorLog
from guestagent.capabilities.scratch import wait_until_answers
from guestagent.contract.errors import DatastoreDown
from guestagent.system import command, files
from guestagent.system.stream import Consumer, Producer

STATEMENT_SECONDS = 600
PASSWORD_BYTES = 24
DATASTORE = "MariaDB"
"""As errors name it."""
ERROR = re.compile(r"\[ERROR\] (.*)")
HELPER = "guestagent_restore"
"""The user who carries out the dump, so that the dump can make all others as they were."""
_ME = f"`{HELPER}`@`localhost`"

CLIENT = ("--default-character-set=utf8mb4", "--batch", "--skip-column-names", "--raw")


class Nursery:
    """The programs that make a data directory and fill it.

    :param install: makes a directory with nothing but the system's tables.
    :param server: works on it.
    :param client: talks to it.
    :param options: of the server, beside those that this class gives.
    :param account: whom all of them run as; none: the agent's own.
    :param scratch: the account's; holds the server's socket and what it says.
    :param timeout: seconds in which the directory is made, and in which the server comes up.
    """

    def __init__(
        self,
        *,
        install: str,
        server: str,
        client: str,
        options: Sequence[str],
        account: str | None,
        scratch: Path,
        timeout: int,
    ) -> None:
        self._install, self._server, self._client = install, server, client
        self._options = [f"--{option}" for option in options]
        self._account = account
        self._scratch = scratch
        self._timeout = timeout
        self._log_file = scratch / "server.log"
        self._log = ErrorLog(self._log_file, ERROR)

    def make(self, directory: Path) -> None:
        """Fill an empty directory with the system's tables, and let nobody in but us.

        :raises DatastoreError: it cannot be done.
        """
        argv = [
            self._install,
            "--no-defaults",
            f"--datadir={directory}",
            f"--log-error={self._log_file}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self._login}",
            "--skip-name-resolve",
            "--skip-test-db",
            *self._options,
        ]
        with self._log.explaining("Making the data directory"):
            command.run(argv, timeout=self._timeout, user=self._account)

    @contextlib.contextmanager
    def running(self, directory: Path, memory: int) -> Iterator[None]:
        """A server on the directory; it is stopped in order at the end of the block, and killed on an error.

        :param memory: MiB for its data.
        :raises DatastoreError: it does not come up, or ends before it was asked to.
        """
        argv = [
            self._server,
            "--no-defaults",
            f"--datadir={directory}",
            f"--socket={self._socket}",
            f"--pid-file={self._scratch / 'server.pid'}",
            f"--log-error={self._log_file}",
            f"--tmpdir={self._scratch}",
            "--skip-networking",
            "--skip-log-bin",
            "--skip-slave-start",
            "--event-scheduler=OFF",
            "--max-allowed-packet=1G",
            # Rows that an older server took are taken.
            "--skip-innodb-strict-mode",
            # What a crash would leave is thrown away.
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            f"--innodb-buffer-pool-size={memory}M",
            *self._options,
        ]
        with Producer(argv, user=self._account) as program:
            wait_until_answers(self._greet, program, self._log, self._timeout, DATASTORE)
            yield
            # Who is let in may stay until the end.
            self._tell(f"DROP USER {_ME};\nSHUTDOWN;\n")
            with self._log.explaining("Stopping the server of the restore"):
                program.finish()

    def clear_out(self) -> None:
        """Leave no user but the helper."""
        password = secrets.token_hex(PASSWORD_BYTES)
        content = f"[client]\nsocket = {self._socket}\nuser = {HELPER}\npassword = {password}\n"
        files.write(self._helper, content, mode=0o600, owner=self._account, group=self._account)
        # Who gives a right away must have it; the right to be anybody is not one of all.
        self._ask(
            self._as_ourselves,
            f"CREATE USER {_ME} IDENTIFIED BY '{password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {_ME} WITH GRANT OPTION;\n"
            f"GRANT PROXY ON ''@'%' TO {_ME} WITH GRANT OPTION;\n",
        )
        everybody = self._tell("SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.global_priv;")
        others = (user for user in everybody.splitlines() if user != f"'{HELPER}'@'localhost'")
        self._tell("".join(f"DROP USER {user};\n" for user in others))

    def fill(self) -> Consumer:
        """Carries out the dump that it is fed, and stops at the first statement that fails."""
        argv = [self._client, f"--defaults-file={self._helper}", *CLIENT, "--binary-mode", "--max-allowed-packet=1G"]
        return Consumer(argv, user=self._account)

    @property
    def _socket(self) -> Path:
        return self._scratch / "s"

    @property
    def _helper(self) -> Path:
        """The helper's credentials."""
        return self._scratch / "helper.cnf"

    @property
    def _login(self) -> str:
        """The name of the account, and of the one user who may enter a new directory."""
        return self._account or pwd.getpwuid(os.geteuid()).pw_name

    def _tell(self, statements: str) -> str:
        return self._ask([f"--defaults-file={self._helper}"], statements).stdout

    @property
    def _as_ourselves(self) -> list[str]:
        return ["--no-defaults", f"--socket={self._socket}", f"--user={self._login}"]

    def _greet(self) -> None:
        done = self._ask(self._as_ourselves, "SELECT 1;", accept=(0, 1))
        if done.code:
            raise DatastoreDown(datastore=DATASTORE, problem=command.reason(done.code, done.stderr, ""))

    def _ask(self, way: Sequence[str], statements: str, accept: Collection[int] = (0,)) -> command.Completed:
        argv, stdin = [self._client, *way, *CLIENT], statements.encode()
        return command.run(argv, stdin=stdin, timeout=STATEMENT_SECONDS, user=self._account, accept=accept)
