"""A database server as a process: prepare's outline, starts and stops, and its status."""

import abc
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from oslo_log import log

from guestagent.capabilities.configuration import Configurable, contents_of
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.errors import DatastoreError, GuestAgentError, InvalidValue, NotSupported, SystemFailure
from guestagent.contract.modules import ModuleEnvelope
from guestagent.contract.states import Phase, ServiceStatus, Wanted
from guestagent.contract.users import User
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import waiting
from guestagent.system.processes import ProcessState, Service

if TYPE_CHECKING:
    from guestagent.capabilities.error_log import ErrorLog

LOG = log.getLogger(__name__)

POLL_SECONDS = 0.1
REVIVALS = 3
"""How often in a row a server that died is started again before it is left for a person to look at."""


class Preparation(msgspec.Struct, frozen=True):
    """What prepare and rebuild were asked for, as far as a plan needs it.

    :ivar memory_mb: the flavour's memory in MiB, if it was said.
    :ivar device_path: the data volume's device; none: no volume.
    :ivar mount_point: where the data volume belongs; none: the plugin's default.
    :ivar config_contents: the base configuration.
    :ivar overrides: the user's configuration.
    :ivar datastore_version: the version that the control plane has in mind.
    :ivar fill: makes the data in an empty directory of the server's account, from a backup; none: they begin empty.
    """

    memory_mb: int | None = None
    device_path: str | None = None
    mount_point: str | None = None
    config_contents: str | None = None
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    datastore_version: str | None = None
    fill: Callable[[Path], None] | None = None


class ManagedServer(Configurable, abc.ABC):
    """Supports the capability *lifecycle* for a server that runs as a process with configuration files."""

    _revivals = 0

    @abc.abstractmethod
    def service(self) -> Service:
        """The server's process."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether the server answers a trivial request now; false, not an error, when it does not."""

    @property
    def error_log(self) -> "ErrorLog | None":
        """Where the server says why it does not start, if that can be read."""
        return None

    @abc.abstractmethod
    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        """The plan from an empty machine to a running server that only the agent can enter."""

    @abc.abstractmethod
    def rebuild_steps(self, preparation: Preparation) -> Sequence[Step]:
        """The plan from a kept volume and a new root disk to a running server."""

    def prepare(
        self,
        context: RequestContext,
        packages: list[str] | str | None,
        databases: list[Database] | None,
        memory_mb: int | None,
        users: list[User] | None,
        device_path: str | None = None,
        mount_point: str | None = None,
        backup_info: dict[str, Any] | None = None,
        config_contents: str | None = None,
        root_password: str | None = None,
        overrides: dict[str, Any] | None = None,
        cluster_config: dict[str, Any] | None = None,
        snapshot: dict[str, Any] | None = None,
        modules: list[ModuleEnvelope] | None = None,
        ds_version: str | None = None,
    ) -> None:
        is_ready = self.guest.record.current.phase is Phase.READY
        if is_ready and not self.guest.is_resumed:
            LOG.warning("prepare came again (request %s); the instance is ready and stays as it is", context.request_id)
            self.report_status()
            return
        fill = functools.partial(self.restore, context, backup_info) if backup_info else None
        preparation = Preparation(
            memory_mb, device_path, mount_point, config_contents, overrides or {}, ds_version, fill
        )
        if not is_ready:
            steps = self._first_steps(preparation, backup_info, cluster_config, snapshot)
            self._bring_up(Plan("prepare", steps, cancellable=True), preparation)
        else:
            # An earlier agent came as far as that, and the machine may have rebooted since.
            self.ensure_running()
        self._populate(context, databases, users, root_password, modules)

    def rebuild(
        self,
        context: RequestContext,
        ds_version: str | None,
        config_contents: str | None = None,
        config_overrides: dict[str, Any] | None = None,
    ) -> None:
        preparation = Preparation(
            config_contents=config_contents, overrides=config_overrides or {}, datastore_version=ds_version
        )
        self._bring_up(Plan("rebuild", self.rebuild_steps(preparation), cancellable=True), preparation)
        self.report_status()

    def restart(self, context: RequestContext) -> None:
        self.guest.record.change(wanted=Wanted.RUNNING)
        self.guest.report(ServiceStatus.RESTARTING)
        try:
            self.guest.carry_out(Plan("restart", [self.stop_step(), self.start_step()]))
        finally:
            self.report_status()

    def stop_db(self, context: RequestContext, do_not_start_on_reboot: bool | None = None) -> None:
        note = Step(
            "note that it is to be down",
            lambda: self._want(Wanted.STOPPED),
            keep=lambda: self.guest.record.current.wanted.value,
            # One that still answers was not stopped, and would not come back after a reboot.
            undo=lambda wanted: self._want(Wanted(wanted)) if self.answers() else None,
        )
        try:
            self.guest.carry_out(Plan("stop", [note, self.stop_step()]))
        finally:
            self.report_status()

    def start_db_with_conf_changes(
        self, context: RequestContext, config_contents: str | dict[str, Any] | None, ds_version: str | None = None
    ) -> None:
        contents = contents_of(config_contents)
        plan = Plan(
            "start with a new configuration",
            [
                # The way back ends with the server running on what it had.
                msgspec.structs.replace(self.stop_step(), undo=lambda _: self.start_server()),
                # A start that fails takes it back, so that an agent that comes after a crash has to write it again.
                msgspec.structs.replace(
                    self.configuration_step("write the base configuration", lambda: self.write_base(contents)),
                    volatile=True,
                ),
                msgspec.structs.replace(self.start_step(), undo=lambda _: self.stop_server()),
            ],
        )
        self.guest.record.change(wanted=Wanted.RUNNING)
        try:
            self.guest.carry_out(plan)
        except DatastoreError as error:
            raise InvalidValue(subject="The new configuration", problem=str(error)) from error
        finally:
            self.report_status()

    def report_status(self) -> None:
        """Tell the conductor at once how the server is, also when the operation has been cancelled."""
        with waiting.shielded():
            self.guest.report(self.service_status())

    def _want(self, wanted: Wanted) -> None:
        self.guest.record.change(wanted=wanted)

    def stop_step(self) -> Step:
        """The server is stopped."""
        return Step("stop the server", self.stop_server, done=self.is_down)

    def start_step(self) -> Step:
        """The server is started, and answers."""
        # Not done because a server answers: there is more to a start, and the agent that began it may have died early.
        return Step("start the server", self.start_server, volatile=True)

    def is_down(self) -> bool:
        """Whether the server's process is gone."""
        return self.guest.processes.state(self.service()) is not ProcessState.RUNNING

    def start_server(self) -> None:
        """Start the server; when it does not come up with a changed configuration, with the previous one.

        Repeating it is safe.

        :raises InvalidValue: it runs, with the previous configuration.
        :raises DatastoreError: it does not run.
        """
        try:
            self.launch_server()
        except DatastoreError as error:
            if not self.is_down() or not self.return_to_good():
                raise
            LOG.error("The changed configuration is taken back: %s", error)
            self.stop_server()
            self.launch_server()
            problem = f"the server has the previous one, because with it: {error}"
            raise InvalidValue(subject="The changed configuration", problem=problem) from error
        self.remember_good()

    def launch_server(self) -> None:
        """Start the server as it is configured and wait until it answers; repeating it is safe.

        :raises DatastoreError: it ended, or did not answer in ``[agent] server_start_timeout``.
        """
        log_size = self.error_log.size() if self.error_log else 0
        try:
            self._launch(self.service())
        except DatastoreError as error:
            if self.error_log and (reasons := self.error_log.reasons(log_size)):
                problem = f"{error.facts['problem']}: {reasons}"
                raise DatastoreError(subject=error.facts["subject"], problem=problem) from error
            raise

    def _launch(self, service: Service) -> None:
        try:
            self.guest.processes.start(service)
        except SystemFailure:
            # It may be one that an earlier agent was to stop: that agent may have died before it asked it to.
            self.stop_server()
            self.guest.processes.start(service)
        deadline = time.monotonic() + self.guest.conf.agent.server_start_timeout
        while not self.answers():
            if self.guest.processes.state(service) is not ProcessState.RUNNING:
                raise DatastoreError(
                    subject=f"Starting the {self.datastore_name} server",
                    problem=f"it ended at once; the end of {service.log} says why",
                )
            if time.monotonic() > deadline:
                raise DatastoreError(
                    subject=f"Starting the {self.datastore_name} server",
                    problem="it runs but did not answer in time ([agent] server_start_timeout)",
                )
            waiting.pause(POLL_SECONDS)

    def stop_server(self) -> None:
        """Stop the server and wait until it is gone; repeating it is safe."""
        self.guest.processes.stop(self.service(), self.guest.conf.agent.server_stop_timeout)

    def service_status(self) -> ServiceStatus:
        if self.answers():
            self._revivals = 0
            return ServiceStatus.HEALTHY
        state = self.guest.processes.state(self.service())
        if state is ProcessState.RUNNING:
            return ServiceStatus.BLOCKED
        if self.guest.record.current.wanted is Wanted.STOPPED:
            return ServiceStatus.SHUTDOWN
        return ServiceStatus.CRASHED

    def ensure_running(self) -> None:
        current = self.guest.record.current
        if current.phase is not Phase.READY or current.wanted is not Wanted.RUNNING or self.answers():
            return
        if self._revivals == REVIVALS:
            LOG.error("The %s server has died %d times in a row; it stays down", self.datastore_name, REVIVALS)
        self._revivals += 1
        if self._revivals <= REVIVALS:
            LOG.warning("The %s server should run and does not; starting it", self.datastore_name)
            self.start_server()

    def _first_steps(
        self,
        preparation: Preparation,
        backup_info: dict[str, Any] | None,
        cluster_config: dict[str, Any] | None,
        snapshot: dict[str, Any] | None,
    ) -> Sequence[Step]:
        if type(self).restore is not BaseDatastoreManager.restore:
            backup_info = None  # it is in the preparation
        asked = {"a backup": backup_info, "a cluster": cluster_config, "a replication source": snapshot}
        for what, given in asked.items():
            if given:
                # An instance that should hold data must not come up empty.
                return [Step(f"start from {what}", lambda what=what: self._cannot_start_from(what))]  # type: ignore[misc]
        return self.prepare_steps(preparation)

    def _cannot_start_from(self, what: str) -> None:
        raise NotSupported(operation=f"prepare from {what}", datastore=self.datastore_name)

    def _bring_up(self, plan: Plan, preparation: Preparation) -> None:
        record = self.guest.record
        record.change(
            phase=Phase.PREPARING,
            wanted=Wanted.RUNNING,
            code_path=self.guest.code_path,
            plugin=self.guest.plugin,
            device_path=preparation.device_path or record.current.device_path,
            mount_point=preparation.mount_point or record.current.mount_point,
            datastore_version=preparation.datastore_version,
        )
        self.guest.report(ServiceStatus.BUILDING)
        try:
            self.guest.carry_out(plan)
        except BaseException:
            record.change(phase=Phase.FAILED, wanted=Wanted.STOPPED)
            self.guest.report(ServiceStatus.FAILED)
            raise
        record.change(phase=Phase.READY)

    def _populate(
        self,
        context: RequestContext,
        databases: list[Database] | None,
        users: list[User] | None,
        root_password: str | None,
        modules: list[ModuleEnvelope] | None,
    ) -> None:
        """Create what prepare was given; the instance is healthy even where that fails, and the failure is told."""
        steps = []
        if databases:
            steps.append(Step("create databases", lambda: self.create_database(context, databases)))
        if users:
            steps.append(Step("create users", lambda: self.create_user(context, users)))
        if root_password:
            steps.append(Step("enable root", lambda: _drop(self.enable_root_with_password(context, root_password))))
        if modules:
            steps.append(Step("apply modules", lambda: _drop(self.module_apply(context, modules))))
        failures: list[GuestAgentError] = []
        for number, step in enumerate(steps, 1):
            try:
                # Plans of their own, because one that fails must not keep the others from being carried out.
                self.guest.carry_out(Plan(f"populate {number}", [step]))
            except GuestAgentError as error:
                failures.append(error)
        for failure in failures:
            LOG.error("The instance is prepared, and something in it is missing: %s", failure)
        self.report_status()
        if failures:
            raise failures[0]


def _drop(result: object) -> None:
    """Forget a result, so that a call fits a step."""


class ReadOnly(ManagedServer, abc.ABC):
    """Supports the call ``make_read_only``. What was said last is in the record, and counts at every start."""

    @abc.abstractmethod
    def configure_read_only(self) -> None:
        """Write into the configuration what the record says; repeating it is safe."""

    @abc.abstractmethod
    def tell_read_only(self, read_only: bool) -> None:
        """Have the running server do it too; repeating it is safe.

        :raises GuestAgentError: it does not answer, or refuses.
        """

    def make_read_only(self, context: RequestContext, read_only: bool) -> None:
        def change() -> None:
            self._remember_read_only(read_only)
            self.tell_read_only(read_only)

        def change_back(was_read_only: bool) -> None:
            self._remember_read_only(was_read_only)
            if self.answers():
                self.tell_read_only(was_read_only)

        step = Step("change it", change, keep=lambda: self.guest.record.current.read_only, undo=change_back)
        self.guest.carry_out(Plan("change whether users may write", [step]))

    def _remember_read_only(self, read_only: bool) -> None:
        self.guest.record.change(read_only=read_only)
        self.configure_read_only()
