"""Moving data to a newer server."""

import re
from typing import Any

from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import DatastoreDown, DatastoreError, InvalidValue, SystemFailure
from guestagent.contract.states import ServiceStatus, Wanted
from guestagent.operations.plan import Plan, Step
from guestagent.system import command, files, volume
from guestagent_postgresql.connection import DATASTORE, SUPERUSER
from guestagent_postgresql.installation import PostgreSQLInstallation
from guestagent_postgresql.settings import major_of

LOG = log.getLogger(__name__)

SLACK = 256 << 20
"""Bytes that new data have before anything is in them, about."""


class PostgreSQLUpgrades(PostgreSQLInstallation):
    """Supports the capability *upgrades*.

    Within a major version the server is the image's, and an upgrade is a restart. To another major version the data are
    copied by ``pg_upgrade``, which needs the programs of both; the former data stay until the new server runs on the
    new ones. Going back to an older version is refused.
    """

    def pre_upgrade(self, context: RequestContext) -> dict[str, Any]:
        self.ensure_running()
        if not self.answers():
            raise DatastoreDown(datastore=DATASTORE, problem="an upgrade begins with a server that runs")
        return {"server_version": ".".join(map(str, self.programs.version(self.major)))}

    def upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        wanted = str(upgrade_info.get("datastore_version") or "")
        self.check_data_version()
        # An agent that died may have got as far as the new data.
        before = major_of(self.layout.former_data_dir) or self.major
        after = self._target(wanted, before)
        steps = [self.stop_step(), self.start_step()] if before == after else self._major_steps(before, after)
        self.guest.record.change(wanted=Wanted.RUNNING)
        self.guest.report(ServiceStatus.RESTARTING)
        try:
            # An agent that comes after a crash finds either data whole, and goes back to the former ones.
            self.guest.carry_out(Plan("upgrade", steps, resumable=before == after))
            self.guest.record.change(datastore_version=wanted or self.guest.record.current.datastore_version)
        finally:
            self.report_status()

    def post_upgrade(self, context: RequestContext, upgrade_info: dict[str, Any]) -> None:
        self.check_data_version()
        if self.guest.record.current.wanted is Wanted.RUNNING:
            self.guest.carry_out(Plan("finish the upgrade", [self.start_step()]))

    def tidy(self) -> None:
        super().tidy()
        if not self.layout.data_dir.exists():
            self._exchange_data_back()

    def _target(self, wanted: str, present: int) -> int:
        """The major version that the control plane asks for; the present one where it says none.

        :raises InvalidValue: it is older than the data, or the image does not hold it.
        """
        match = re.match(r"(\d{1,9})(\.\d{1,9})*$", wanted)
        if match is None:
            return present
        target, held = int(match[1]), self.programs.majors()
        if target < present:
            problem = f"the data are of PostgreSQL {present}, and PostgreSQL cannot be downgraded"
            raise InvalidValue(subject=f"Version {wanted}", problem=problem)
        if target not in held:
            problem = (
                f"this image holds PostgreSQL {', '.join(map(str, held))}; use one that holds {target} beside {present}"
            )
            raise InvalidValue(subject=f"Version {wanted}", problem=problem)
        return target

    def _major_steps(self, before: int, after: int) -> list[Step]:
        layout = self.layout
        return [
            Step("check the configuration", lambda: self.check_configuration_for(after)),
            Step("check the room", self._require_room_for_copy),
            Step(
                "make the new data",
                lambda: self._make_upgraded_data(after),
                undo=lambda _: files.remove_tree(layout.upgraded_data_dir),
            ),
            Step("stop the old server", self.stop_server, undo=lambda _: self.start_server()),
            Step("copy the data", lambda: self._copy_data(before, after)),
            Step("put the new data in place", self._exchange_data, undo=lambda _: self._exchange_data_back()),
            Step("start the new server", self.start_server, undo=lambda _: self.stop_server()),
            Step("collect statistics", lambda: self._analyze(after)),
            Step("remove the former data", lambda: files.remove_tree(layout.former_data_dir)),
        ]

    def _require_room_for_copy(self) -> None:
        """See that the volume has room for the data twice.

        :raises InvalidValue: it has not.
        """
        data_dir = self.layout.data_dir
        needed = SLACK + sum(path.lstat().st_blocks * 512 for path in data_dir.rglob("*") if path.is_file())
        space = volume.space(data_dir)
        left = space.available_blocks * space.block_size
        if needed > left:
            problem = f"it copies the data, which takes {needed >> 20} MiB, and {left >> 20} are left; grow the volume"
            raise InvalidValue(subject="The upgrade", problem=problem)

    def _make_upgraded_data(self, major: int) -> None:
        """Make empty data of the shape that the present ones have."""
        with self.connections.session("Looking at the data") as ask:
            [(encoding, collate, ctype, provider)] = ask(
                "SELECT pg_encoding_to_char(encoding), CAST(datcollate AS text), CAST(datctype AS text),"
                " CAST(to_jsonb(d) ->> 'datlocprovider' AS text) FROM pg_database d WHERE datname = 'template0'"
            )
            [(installer,)] = ask("SELECT CAST(rolname AS text) FROM pg_roles WHERE oid = 10")
            [(checksums,)] = ask("SHOW data_checksums")
        if installer != SUPERUSER or provider not in (None, "c"):
            problem = f"they were made for {installer!r} with locale provider {provider!r}; move them with a dump"
            raise InvalidValue(subject="The data", problem=problem)
        new = self.layout.upgraded_data_dir
        files.remove_tree(new)
        files.ensure_directory(new, mode=0o700, owner=self.account, group=self.account)
        shape = [f"--encoding={encoding}", f"--lc-collate={collate}", f"--lc-ctype={ctype}"]
        self.make_data_of(major, new, shape, checksums=checksums == "on")

    def _copy_data(self, before: int, after: int) -> None:
        layout = self.layout
        options = " ".join(
            [
                f"-c config_file={layout.main_file}",
                f"-c hba_file={layout.host_access_file}",
                f"-c ident_file={layout.account_map_file}",
                "-c default_transaction_read_only=off",
            ]
        )
        argv = [
            self.programs.path(after, "pg_upgrade"),
            f"--old-datadir={layout.data_dir}",
            f"--new-datadir={layout.upgraded_data_dir}",
            f"--old-bindir={self.programs.path(before, '')}",
            f"--new-bindir={self.programs.path(after, '')}",
            f"--old-options={options}",
            f"--new-options={options}",
            f"--socketdir={layout.socket_dir}",
            f"--username={SUPERUSER}",
        ]
        scratch = layout.scratch_dir
        files.ensure_directory(scratch, mode=0o700, owner=self.account, group=self.account)
        try:
            # What cannot be upgraded is found before anything is copied.
            for how in (["--check"], []):
                done = command.run(
                    [*argv, *how],
                    timeout=self.options.program_timeout,
                    user=self.account,
                    directory=scratch,
                    accept=range(128),
                )
                if done.code:
                    raise DatastoreError(subject="Upgrading the data", problem=_reason(done.stdout))
        finally:
            files.remove_tree(scratch)

    def _exchange_data(self) -> None:
        layout = self.layout
        self.connections.close()
        if not layout.former_data_dir.exists():
            layout.data_dir.rename(layout.former_data_dir)
        if not layout.data_dir.exists():
            layout.upgraded_data_dir.rename(layout.data_dir)
        files.sync_directory(layout.mount_point)

    def _exchange_data_back(self) -> None:
        layout = self.layout
        if layout.former_data_dir.exists():
            if layout.data_dir.exists():
                layout.data_dir.rename(layout.upgraded_data_dir)
            layout.former_data_dir.rename(layout.data_dir)
            files.sync_directory(layout.mount_point)

    def _analyze(self, major: int) -> None:
        """Collect what the planner needs, which is not copied; without it the server works, and slowly."""
        argv = [
            self.programs.path(major, "vacuumdb"),
            "--all",
            "--analyze-in-stages",
            f"--host={self.layout.socket_dir}",
            f"--port={self.options.port}",
            f"--username={self.options.administrator}",
        ]
        try:
            command.run(argv, timeout=self.options.program_timeout, user=self.account)
        except SystemFailure as error:
            LOG.error("The statistics are not collected, run vacuumdb --all --analyze-only: %s", error)


def _reason(said: str) -> str:
    """What pg_upgrade says where it gives up, without the list of what went well."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.rstrip().endswith(" ok")]
    return " ".join(lines[-6:]) or "it gave no reason"
