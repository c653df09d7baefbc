"""Moving data to a newer server."""

import re
from typing import Any

from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreDown, InvalidValue
from guestagent.contract.states import ServiceStatus, Wanted
from guestagent.operations.plan import Plan, Step
from guestagent.system import command
from guestagent_mariadb.administrator import DATASTORE
from guestagent_mariadb.server import MariaDBServer

LOG = log.getLogger(__name__)

WRITTEN_BY = ("mariadb_upgrade_info", "mysql_upgrade_info")
"""The file of a data directory that names the version that wrote it, under its newer and its older name."""


class MariaDBUpgrades(MariaDBServer):
    """Supports the capability *upgrades*.

    The server is the image's, and an upgrade adapts the data to it. Going back to an older version is
    refused.
    """

    def pre_upgrade(self, context: RequestContext) -> dict[str, Any]:
        self.ensure_running()
        if not self.answers():
            raise DatastoreDown(datastore=DATASTORE, problem="an upgrade begins with a server that runs")
        # A fast shutdown of 2 leaves a redo log that a newer server cannot read.
        steps = [
            Step(
                "prepare the shutdown",
                lambda: self.connections.execute("Preparing the shutdown", "SET GLOBAL innodb_fast_shutdown = 1"),
            )
        ]
        self.guest.carry_out(Plan("get ready for an upgrade", steps))
        return {"server_version": _spelled(self.program.version())}

    def upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        wanted = str(upgrade_info.get("datastore_version") or "")
        self._check_wanted(wanted)
        self.check_data_version()
        self.guest.record.change(wanted=Wanted.RUNNING)
        self.guest.report(ServiceStatus.RESTARTING)
        try:
            self.guest.carry_out(Plan("upgrade", [self.stop_step(), self.start_step(), self.adapt_step()]))
            self.guest.record.change(datastore_version=wanted or self.guest.record.current.datastore_version)
        finally:
            self.report_status()

    def post_upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        self.check_data_version()
        if self.guest.record.current.wanted is Wanted.RUNNING:
            self.guest.carry_out(Plan("finish the upgrade", [self.start_step(), self.adapt_step()]))

    def adapt_step(self) -> Step:
        """The data are what the server of this image makes of them."""
        return Step("adapt the data", self.adapt_data, undo=lambda _: self.take_back_credentials())

    def take_back_credentials(self) -> None:
        """Remove the copy of the credentials that a program may have been lent; repeating it is safe."""
        self.layout.lent_credentials.unlink(missing_ok=True)

    def check_data_version(self) -> None:
        """See that the data are not newer than the server.

        :raises InvalidValue: they are.
        """
        data, server = self._data_version(), self.program.version()
        if data is not None and data[:2] > server[:2]:
            problem = (
                f"MariaDB {_spelled(data)} wrote it and this image holds {_spelled(server)}, which cannot read it; "
                f"use an image with MariaDB {data[0]}.{data[1]} or newer"
            )
            raise InvalidValue(subject=f"The data in {self.layout.data_dir}", problem=problem)

    def adapt_data(self) -> None:
        """Let MariaDB's own program adapt the system tables and check the others, if an older server wrote them."""
        data = self._data_version()
        if data is not None and data >= self.program.version():
            return
        with self.administrator.lend_credentials(self.layout.lent_credentials, self.account) as lent:
            command.run(
                [self.options.upgrade_program, f"--defaults-file={lent}"],
                timeout=self.options.program_timeout,
                user=self.account,
                # It keeps another copy while it runs, of mode 0600 too.
                environment={"TMPDIR": str(self.layout.tmp_dir)},
            )
        self.stop_server()
        self.start_server()

    def _check_wanted(self, wanted: str) -> None:
        """See that the control plane's version, where it is a number, is none that the data cannot go back to."""
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})*", wanted):
            return
        numbers, server = tuple(map(int, wanted.split("."))), self.program.version()
        data = self._data_version() or server
        if numbers[:2] < data[: min(2, len(numbers))]:
            problem = f"the data are of MariaDB {_spelled(data)}, and MariaDB cannot be downgraded"
            raise InvalidValue(subject=f"Version {wanted}", problem=problem)
        if numbers[:3] != server[: len(numbers)]:
            LOG.warning("The control plane asks for version %s; this image holds MariaDB %s", wanted, _spelled(server))

    def _data_version(self) -> tuple[int, ...] | None:
        """The version of the server that the data were last adapted to; none: it is not known."""
        for name in WRITTEN_BY:
            path = self.layout.data_dir / name
            if path.exists() and (found := re.match(r"(\d+)\.(\d+)\.(\d+)", path.read_text(errors="replace"))):
                return tuple(map(int, found.groups()))
        return None


def _spelled(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
