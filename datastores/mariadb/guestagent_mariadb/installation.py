"""From an empty volume to a server that only the agent can enter."""

from pathlib import Path

from guestagent.capabilities.configuration import OVERRIDES
from guestagent.capabilities.server import Preparation
from guestagent.operations.plan import Step
from guestagent.system import command, files
from guestagent_mariadb.identifiers import quoted
from guestagent_mariadb.upgrades import MariaDBUpgrades


class MariaDBInstallation(MariaDBUpgrades):
    """The steps of the plans; each can be repeated."""

    def configure(self, preparation: Preparation) -> None:
        """Write all layers of the configuration.

        :raises InvalidValue: the server refuses the base or the user's part.
        """
        with self.configuration.change():
            self.write_base(preparation.config_contents)
            self.configuration.write(OVERRIDES, self.render(preparation.overrides))
            self.check_configuration()

    def claim_step(self) -> Step:
        """The server runs and knows the agent."""
        return Step(
            "start and claim the server",
            self.claim_server,
            volatile=True,
            undo=lambda _: self.give_up_server(),
        )

    def give_up_server(self) -> None:
        """Stop a server that the agent may not be able to enter; repeating it is safe."""
        self.stop_server()
        self.forget_claim()

    def forget_claim(self) -> None:
        """Remove the statements that let the agent in; repeating it is safe."""
        if self.layout.claim_file.exists():
            self.layout.claim_file.unlink()
            self.write_agent_layer()

    def claim_server(self) -> None:
        """Start the server so that it knows the agent, and the agent's new password, before it lets anybody in.

        The server reads the password's digest from a file of mode 0600 that is removed afterwards.
        """
        try:
            if not self.answers():
                self.stop_server()
                claim = self.administrator.claim(self.administrator.renew())
                files.write(self.layout.claim_file, claim, mode=0o600, owner=self.account, group=self.account)
            self.start_server()
        finally:
            self.layout.claim_file.unlink(missing_ok=True)
            self.write_agent_layer()

    def remove_left_overs(self) -> None:
        """Drop what an installation may leave: users without a name, root from other machines, a database to play."""
        left = self.connections.fetch(
            "Listing users",
            "SELECT User, Host FROM mysql.user WHERE User = '' OR (User = 'root' AND Host <> 'localhost')",
        )
        for user, host in left:
            self.connections.execute("Dropping a user of the installation", "DROP USER %s@%s", (user, host))
        self.connections.execute("Dropping the test database", f"DROP DATABASE IF EXISTS {quoted('test')}")

    def make_data(self, directory: Path) -> None:
        argv = [
            self.options.install_program,
            f"--defaults-file={self.layout.main_file}",
            f"--datadir={directory}",
            # The system's root may enter as root, with no password; nobody else has any.
            "--auth-root-authentication-method=socket",
            "--auth-root-socket-user=root",
            "--skip-name-resolve",
            "--skip-test-db",
        ]
        with self.error_log.explaining("Making the data directory"):
            command.run(argv, timeout=self.options.program_timeout, user=self.account)
