"""Moving data to a newer server."""

from typing import Any

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreDown, InvalidValue
from guestagent.contract.states import ServiceStatus, Wanted
from guestagent.operations.plan import Plan, Step
from guestagent_redis import persistence
from guestagent_redis.server import RedisServer


class RedisUpgrades(RedisServer):
    """Supports the capability *upgrades*.

    The server is the image's; it reads what an older one has written, and there is nothing to adapt. Going back to an
    older one is refused. One that cannot read the data says so at its start, and leaves them alone.
    """

    def pre_upgrade(self, context: RequestContext) -> dict[str, Any]:
        self.ensure_running()
        if not self.answers():
            raise DatastoreDown(datastore=self.datastore_name, problem="an upgrade begins with a server that runs")
        save = Step("save the data", lambda: persistence.save(self.client))
        self.guest.carry_out(Plan("get ready for an upgrade", [save]))
        return {"server_version": self._running_version()}

    def upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        self._check_version()
        wanted = str(upgrade_info.get("datastore_version") or "")
        self.guest.record.change(wanted=Wanted.RUNNING)
        self.guest.report(ServiceStatus.RESTARTING)
        try:
            self.guest.carry_out(Plan("upgrade", [self.stop_step(), self.start_step()]))
            self.guest.record.change(datastore_version=wanted or self.guest.record.current.datastore_version)
        finally:
            self.report_status()

    def post_upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        if self.guest.record.current.wanted is Wanted.RUNNING:
            self.guest.carry_out(Plan("finish the upgrade", [self.start_step()]))

    def _check_version(self) -> None:
        """See that the image's server is none older than the one that runs and writes the data.

        :raises InvalidValue: it is.
        """
        if not self.answers():
            return
        running, program = self._running_version(), self.program.version()
        if tuple(map(int, running.split(".")))[:2] > program[:2]:
            problem = f"the data are of version {running}, which it may not be able to read"
            raise InvalidValue(subject=f"The server of this image, {'.'.join(map(str, program))},", problem=problem)

    def _running_version(self) -> str:
        """The version of the running server."""
        known = self.client.info("server")
        return known.get(f"{self.datastore_name}_version") or known["redis_version"]
