"""The server's user that the agent works as, and the only place where its password lies."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from guestagent.contract.errors import DatastoreDown
from guestagent.system import files
from guestagent_mariadb import option_file

CLIENT_SECTION = "client"
DATASTORE = "MariaDB"
"""What error sentences call the server."""


class Administrator:
    """The agent's user and its password, a file of mode 0600 in the form that MariaDB's programs read.

    :param name: letters, digits and underscores, as ``[mariadb] administrator`` makes sure.
    :param credentials: the file.
    :param socket: the server's socket.
    """

    def __init__(self, name: str, credentials: Path, socket: Path) -> None:
        self.name = name
        self.credentials = credentials
        self.socket = socket

    def password(self) -> str:
        """The password.

        :raises DatastoreDown: the agent has none yet.
        """
        try:
            text = self.credentials.read_text()
        except FileNotFoundError:
            problem = f"the agent has no password for it, because {self.credentials} does not exist"
            raise DatastoreDown(datastore=DATASTORE, problem=problem) from None
        return option_file.values(text, {"password"}, CLIENT_SECTION).get("password", "")

    def renew(self) -> str:
        """Make a new password; the server has to be told by :meth:`claim` before it is of use.

        :returns: its digest.
        """
        from guestagent.system.passwords import generated
        from guestagent_mariadb.passwords import digest

        password = generated()
        facts = {"user": self.name, "password": password, "socket": os.fspath(self.socket)}
        files.write(self.credentials, option_file.rendered(facts, CLIENT_SECTION), mode=0o600)
        return digest(password, "the administrator")

    def lend_credentials(self, path: Path, account: str | None) -> AbstractContextManager[Path]:
        """A copy of the file for a program that runs as another account, as long as the block lasts."""
        return files.lent(self.credentials, path, account)

    def claim(self, digest: str) -> str:
        """The statements that make the user anew, for a server that reads them before it lets anybody in.

        They stay out of the binary log: every server of a replication set has a password of its own. A
        plugin that validates passwords refuses digests, and has nothing to say about this one.
        """
        user = f"`{self.name}`@`localhost`"
        return (
            "SET SESSION sql_log_bin = 0;\n"
            "SET @strict = @@GLOBAL.strict_password_validation;\n"
            "SET GLOBAL strict_password_validation = OFF;\n"
            f"CREATE OR REPLACE USER {user} IDENTIFIED BY PASSWORD '{digest}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
            "SET GLOBAL strict_password_validation = @strict;\n"
        )
