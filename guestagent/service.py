"""The agent as a service: the RPC server, the heartbeat, and an end in order."""

import os
import re
import socket
import threading
import time
from pathlib import Path

from oslo_config import cfg
from oslo_log import log
from oslo_service import service

from guestagent import contract
from guestagent.contract.call import OWN
from guestagent.contract.errors import GuestAgentError, Leaving
from guestagent.contract.operations import CodePath
from guestagent.guest import Guest
from guestagent.heartbeat import Heartbeat
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.journal import Journal
from guestagent.operations.plan import Watcher
from guestagent.operations.queue import OperationQueue
from guestagent.operations.recovery import Recovery, adopt
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault
from guestagent.plugins.loader import Loaded
from guestagent.rpc import envelope, transport
from guestagent.rpc.conductor import Conductor
from guestagent.rpc.dispatcher import Dispatcher
from guestagent.rpc.local import LocalServer, socket_path
from guestagent.rpc.server import Server
from guestagent.system import files, waiting
from guestagent.system.processes import ProcessControl

LOG = log.getLogger(__name__)

FEEDS = 4
"""How often the service manager hears of the agent within the time after which it would end it."""


class AgentService(service.Service):  # type: ignore[misc]
    """One guest's agent. Starting it needs no broker; it is waited for.

    :param conf: the global ``cfg.CONF``.
    :param loaded: what the image declares, imported.
    :param watch: is told of every step of every plan.
    """

    def __init__(self, conf: cfg.ConfigOpts, loaded: Loaded, watch: Watcher | None = None) -> None:
        super().__init__()
        self._conf = conf
        state_dir = Path(conf.agent.state_dir)
        files.ensure_directory(state_dir, mode=0o700)
        self._transport = transport.connect(conf)
        wrapped = envelope.for_instance(conf.instance_rpc_encr_key, conf.guest_id)
        self._conductor = Conductor(self._transport, conf.conductor_queue, conf.guest_id, wrapped)
        self._store = Store(state_dir)
        record = InstanceRecord(self._store)
        journal = Journal(self._store, Vault(state_dir), keep=lambda: conf.operations.keep)
        self._operations = OperationQueue(
            lambda: conf.agent.busy_wait, journal, lambda: _code_path(conf, record), watch
        )
        manager = loaded.manager(
            Guest(
                id=conf.guest_id,
                datastore=loaded.declaration.datastore,
                conf=conf,
                state_dir=state_dir,
                record=record,
                operations=self._operations,
                processes=_process_control(conf),
                storage={name: strategy(conf) for name, strategy in loaded.storage.items()},
                backup_strategies=list(loaded.backup),
                archive_strategies=list(loaded.archive),
                modules={name: driver() for name, driver in loaded.modules.items()},
                report=self._conductor.heartbeat,
                report_backup=self._conductor.update_backup,
                description=loaded.description,
            )
        )
        files.sweep(Path(conf.agent.run_dir))
        manager.tidy()
        adopt(self._store, record, manager.recognise)
        self._manager = manager
        self._archiving = waiting.Interruption()
        self._heartbeat = Heartbeat(manager, self._operations, self._conductor)
        dispatcher = Dispatcher(manager, wrapped, self._operations, journal, self._conductor)
        self._local = LocalServer(socket_path(conf), dispatcher.answer_local, conf.agent.local_group)
        self._server = Server(self._transport, conf.guest_id, dispatcher, wrapped, conf.agent.rpc_workers)
        self._listening = threading.Event()
        self._recovery = Recovery(record, journal, self._operations, dispatcher.revive, dispatcher.tell)

    def start(self) -> None:
        """Take up what was left, begin to beat, and listen as soon as the broker is there."""
        self._recovery.take_up()
        self._open_local_socket()
        self._heartbeat.ensure_running()
        self._last_beat = time.monotonic()
        self._heart = self.tg.add_dynamic_timer(self._beat)
        if self._conf.backup.archive_interval and self._can_archive():
            self.tg.add_dynamic_timer(self._archive, initial_delay=self._conf.backup.archive_interval)
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def stop(self, graceful: bool = True) -> None:
        """Take nothing new, finish what was taken, send the last reports."""
        LOG.info("Stopping: finishing what is running")
        # The next agent does the rest.
        self._archiving.cancel(Leaving(operation="archiving"))
        if self._listening.is_set():
            self._server.drain(self._conf.agent.flush_timeout)
        self._operations.drain()
        super().stop()
        self._local.stop()
        if not self._conductor.flush(self._conf.agent.flush_timeout):
            LOG.warning("Nobody has taken the last reports")
            return
        self._store.close()

    def reset(self) -> None:
        """Read the files again; options that may change while the agent runs take their new values."""
        self._conf.mutate_config_files()
        # The pause that it is in has the length of before.
        self._heart.stop()
        self.tg.timer_done(self._heart)
        self._heart = self.tg.add_dynamic_timer(self._beat)
        LOG.info("The configuration was read again")

    def _open_local_socket(self) -> None:
        try:
            self._local.start()
        except GuestAgentError as error:
            LOG.error("Nobody on this machine can ask the agent without the broker: %s", error)

    def _beat(self) -> float:
        self._heartbeat.beat()
        self._last_beat = time.monotonic()
        return float(self._conf.agent.report_interval)

    def _can_archive(self) -> bool:
        if self._manager.supports(contract.ALLOWED[OWN, "archive_logs"]):
            return True
        LOG.error("[backup] archive_interval is set, and this image has no archive strategy: no log is archived")
        return False

    def _archive(self) -> float:
        try:
            with self._archiving.applied():
                self._manager.archive_closed_logs()
        except Exception:
            # Nobody waits for the result, so it is heard of here or nowhere; and the next run may go well.
            LOG.exception("Archiving failed unexpectedly")
        return float(self._conf.backup.archive_interval)

    def _listen(self) -> None:
        self._server.listen()
        self._listening.set()
        LOG.info("Listening on %s", transport.guest_topic(self._conf.guest_id))
        manager = _ServiceManager()
        manager.tell("READY=1")
        if manager.patience:
            self.tg.add_timer(manager.patience / FEEDS, self._feed, None, manager)

    def _feed(self, manager: "_ServiceManager") -> None:
        """Keep the service manager from ending the agent, as long as the heart beats."""
        if time.monotonic() - self._last_beat < max(manager.patience, 2 * self._conf.agent.report_interval):
            manager.tell("WATCHDOG=1")


class _ServiceManager:
    """Who started the agent and wants to hear how it is, see sd_notify(3); nothing the agent starts inherits that.

    :ivar patience: seconds of silence after which it ends the agent; 0 without end.
    """

    def __init__(self) -> None:
        self._address = re.sub("^@", "\0", os.environ.pop("NOTIFY_SOCKET", ""))
        self.patience = int(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6

    def tell(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            try:
                channel.sendto(state.encode(), self._address)
            except OSError as error:
                LOG.warning("The service manager was not told %s: %s", state, error)


def _code_path(conf: cfg.ConfigOpts, record: InstanceRecord) -> CodePath:
    """The instance's own; the option counts for one that nothing has prepared yet."""
    if record.current.code_path is not None:
        return record.current.code_path
    return CodePath.CONVERGENCE if conf.operations.convergence_engine else CodePath.LEGACY


def _process_control(conf: cfg.ConfigOpts) -> ProcessControl:
    if conf.agent.process_control == "plain":
        from guestagent.system.plain import PlainControl

        return PlainControl(Path(conf.agent.run_dir))
    from guestagent.system.systemd import SystemdControl

    return SystemdControl()
