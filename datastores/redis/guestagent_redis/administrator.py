"""The server's user that the agent works as, and the only place where its password lies."""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from guestagent.contract.errors import DatastoreDown
from guestagent.system import files


class Administrator:
    """The agent's user and its password, a file of mode 0600.

    The server's own programs read no such file; each line of it is a name and a value: ``unixsocket``, ``user``,
    ``password``.

    :param name: letters, digits and underscores, as the option ``administrator`` makes sure.
    :param credentials: the file.
    :param socket: the server's socket.
    :param datastore: what an error's sentence calls the server.
    """

    def __init__(self, name: str, credentials: Path, socket: Path, datastore: str) -> None:
        self.name = name
        self.credentials = credentials
        self.socket = socket
        self.datastore = datastore

    def password(self) -> str:
        """The password.

        :raises DatastoreDown: the agent has none yet.
        """
        try:
            lines = self.credentials.read_text().splitlines()
        except FileNotFoundError:
            problem = f"the agent has no password for it, because {self.credentials} does not exist"
            raise DatastoreDown(datastore=self.datastore, problem=problem) from None
        return dict(line.split(" ", 1) for line in lines).get("password", "")

    def renew(self) -> None:
        """Make a new password; the server has to be told by :meth:`claim` before it is of use."""
        from guestagent.system.passwords import generated

        facts = {"unixsocket": self.socket, "user": self.name, "password": generated()}
        text = "".join(f"{name} {value}\n" for name, value in facts.items())
        files.write(self.credentials, text, mode=0o600)

    def lend_credentials(self, path: Path, account: str | None) -> AbstractContextManager[Path]:
        """A copy of the file for a program that runs as another account, as long as the block lasts."""
        return files.lent(self.credentials, path, account)

    def claim(self) -> str:
        """The line that lets the agent in, for the file of users that a server reads before it lets anybody in."""
        digest = hashlib.sha256(self.password().encode()).hexdigest()
        return f"user {self.name} on #{digest} ~* &* +@all"
