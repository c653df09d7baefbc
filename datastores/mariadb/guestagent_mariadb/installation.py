"""From an empty volume to a server that only the agent can enter."""

import shutil
from collections.abc import Callable
from pathlib import Path

from oslo_log import log

from guestagent.capabilities.configuration import OVERRIDES
from guestagent.capabilities.server import Preparation
from guestagent.contract.errors import DatastoreError, NotFound, SystemFailure
from guestagent.operations.plan import Step
from guestagent.system import command, files
from guestagent_mariadb.identifiers import quoted
from guestagent_mariadb.upgrades import MariaDBUpgrades

LOG = log.getLogger(__name__)


class MariaDBInstallation(MariaDBUpgrades):
    """The steps of the plans; each can be repeated."""

    def set_up_account(self) -> None:
        """Make the server's account and the directories that it needs."""
        if self.account:
            from guestagent.system import accounts

            accounts.ensure(self.account, self.layout.mount_point)
        self.make_directories()

    def configure(self, preparation: Preparation) -> None:
        """Write all layers of the configuration.

        :raises InvalidValue: the server refuses the base or the user's part.
        """
        with self.configuration.change():
            self.write_base(preparation.config_contents)
            self.configuration.write(OVERRIDES, self.render(preparation.overrides))
            self.check_configuration()

    def initialise_data(self, fill: Callable[[Path], None] | None = None) -> None:
        """Make the data directory, whole or not at all; one that exists is kept.

        :param fill: makes the data; none: the server's own program makes empty ones.
        """
        layout = self.layout
        if layout.data_dir.exists():
            LOG.info("%s exists and is kept", layout.data_dir)
            return
        self.discard_unfinished_data()
        files.ensure_directory(layout.unfinished_data_dir, mode=0o700, owner=self.account, group=self.account)
        (fill or self._install)(layout.unfinished_data_dir)
        layout.unfinished_data_dir.rename(layout.data_dir)
        files.sync_directory(layout.mount_point)

    def discard_unfinished_data(self) -> None:
        """Remove what an initialisation that did not get to its end has left; repeating it is safe."""
        if self.layout.unfinished_data_dir.exists():
            shutil.rmtree(self.layout.unfinished_data_dir)

    def find_data(self) -> None:
        """See that the volume holds data.

        :raises NotFound: it does not.
        """
        if not self.layout.data_dir.is_dir():
            raise NotFound(subject=f"The data directory {self.layout.data_dir}")

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

    def _install(self, directory: Path) -> None:
        log_size = self.error_log.size()
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
        try:
            command.run(argv, timeout=self.options.program_timeout, user=self.account)
        except SystemFailure as error:
            problem = self.error_log.reasons(log_size) or str(error)
            raise DatastoreError(subject="Making the data directory", problem=problem) from error
