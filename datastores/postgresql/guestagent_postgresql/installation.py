"""From an empty volume to a server that only the agent can enter."""

from pathlib import Path

from guestagent.capabilities.configuration import OVERRIDES
from guestagent.capabilities.server import Preparation
from guestagent.contract.errors import DatastoreError, SystemFailure
from guestagent.operations.plan import Step
from guestagent.system import command
from guestagent_postgresql.connection import SUPERUSER
from guestagent_postgresql.server import PostgreSQLServer


class PostgreSQLInstallation(PostgreSQLServer):
    """The steps of the plans; each can be repeated."""

    def configure(self, preparation: Preparation) -> None:
        """Write all layers of the configuration.

        :raises InvalidValue: the server refuses the base or the user's part.
        """
        with self.configuration.change():
            self.write_base(preparation.config_contents)
            self.configuration.write(OVERRIDES, self.render(preparation.overrides))
            self.check_configuration()

    def first_start_step(self) -> Step:
        """The server runs and lets the agent in."""
        return Step("start the server", self.start_server, volatile=True, undo=lambda _: self.stop_server())

    def make_data(self, directory: Path) -> None:
        self.make_data_of(self.major, directory, ["--encoding=UTF8", f"--locale={self.options.locale}"])

    def make_data_of(self, major: int, directory: Path, shape: list[str], checksums: bool = True) -> None:
        """Make empty data for the server of a version.

        :param shape: the encoding and the locale, as ``initdb`` takes them.
        :raises DatastoreError: it cannot be done.
        """
        argv = [
            self.programs.path(major, "initdb"),
            f"--pgdata={directory}",
            f"--username={SUPERUSER}",
            *shape,
            *(["--data-checksums"] if checksums else []),
            # The files that it writes are not those that the server reads.
            "--auth-local=peer",
            "--auth-host=reject",
        ]
        try:
            command.run(argv, timeout=self.options.program_timeout, user=self.account)
        except SystemFailure as error:
            raise DatastoreError(subject="Making the data directory", problem=str(error.facts["problem"])) from error
