"""From an empty machine to a running server, and the server's starts and stops."""

from typing import Any

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext
from guestagent.contract.databases import Database
from guestagent.contract.modules import ModuleEnvelope
from guestagent.contract.users import User


class Lifecycle(Capability):
    """Prepare, start, stop, restart and rebuild."""

    @call(since="1.0", cast=True, notifies=True, repeatable=True, required=True, needs_instance=False)
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
        """Turn the empty machine into a running instance; a second prepare changes nothing.

        Since 1.1 with ``ds_version``. The conductor hears ``building`` at the start and the
        instance's state at the end.

        :param packages: ignored: an image holds what it needs.
        :param device_path: the data volume's block device; none: the machine has no volume.
        :param mount_point: where the volume is mounted, the parent of the data directory.
        :param backup_info: the backup to begin with; a control plane that knows of it says in ``recover_to`` until
            where archived logs bring the data forward: a time with its zone, or a position of the datastore's.
        :param config_contents: the base configuration in the datastore's own syntax.
        """

    @call(repeatable=True, required=True)
    def restart(self, context: RequestContext) -> None:
        """Restart the server and wait until it answers; a stopped one is started."""

    @call(since="1.0", repeatable=True, required=True)
    def stop_db(self, context: RequestContext, do_not_start_on_reboot: bool | None = None) -> None:
        """Stop the server and keep it stopped until it is asked to start, also over a reboot.

        :param do_not_start_on_reboot: the form of version 1.0, accepted and without effect.
        """

    @call(since="1.0", repeatable=True, required=True)
    def start_db_with_conf_changes(
        self, context: RequestContext, config_contents: str | dict[str, Any] | None, ds_version: str | None = None
    ) -> None:
        """Start the stopped server with a new base configuration, as after a resize of the flavour.

        Since 1.1 with ``ds_version``.

        :raises InvalidValue: the server refuses the configuration; the previous one is in force.
        """

    @call(cast=True, needs_instance=False)
    def rebuild(
        self,
        context: RequestContext,
        ds_version: str | None,
        config_contents: str | None = None,
        config_overrides: dict[str, Any] | None = None,
    ) -> None:
        """Bring the data of a kept volume up again on a machine whose root disk is new."""

    @call(reads=True, needs_instance=False, prompt=True)
    def rpc_ping(self, context: RequestContext) -> bool:
        """True, whatever else the agent is doing."""

    @call(needs_instance=False)
    def update_guest(self, context: RequestContext) -> None:
        """Replace the agent's own software; images of this project are immutable."""
