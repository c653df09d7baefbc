"""A guest whose agent is killed: a real server in memory, an agent with a script, and the way back to the beginning."""

import contextlib
import dataclasses
import os
import select
import shutil
import signal
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pymysql
from guestagent_mariadb import option_file

from guestagent import contract
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.mortal import MortalAgent
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import NoReply, Pending, Wire, request_context
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.operations import CodePath
from tests.support import mariadb

KEPT, KEEPER, PASSWORD = "kept", "keeper", "Wee/sleekit 1"
"""A database with a row of data and a user that may read it, which nothing may touch."""
FLAVOUR = "[mysqld]\ninnodb_log_file_size = 4M\ninnodb_buffer_pool_size = 24M\nmax_connections = 60\n"
PREPARE: Mapping[str, Any] = {
    "packages": "",
    "databases": [{"_name": KEPT}],
    "memory_mb": 512,
    "users": [{"_name": KEEPER, "_password": PASSWORD, "_databases": [{"_name": KEPT}]}],
    "device_path": "",
    "mount_point": None,
    "config_contents": FLAVOUR,
    "overrides": {},
    "modules": [],
    "ds_version": "10.11",
}
PATIENCE = 60.0
"""Seconds for whatever an agent or a server does."""
RECENT = 10
"""Operations that are asked for: more than what a test does at a time."""
LOOK_SECONDS = 0.1
"""Between two looks at an agent that is asked for something: each look has it work, on all processors there are."""


TOUCHING = {"guestagent_mariadb.connection": {"execute", "fetch", "shown_certificate"}}
"""The functions of the plugin behind which agents die."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """A request that is under way.

    :ivar answer: none: it is a cast.
    """

    request_id: str
    answer: Pending | None


class Guest:
    """One guest, not started.

    :param directory: an empty one that the server's account can reach; everything of the guest is in it.
    :param path: the code path of its operations.
    :param options: of its agent, beside those that every guest of the tests has.

    :ivar beside: tell what belongs to the guest's state beside what every guest has, by names with dots.
    """

    def __init__(
        self,
        directory: Path,
        path: CodePath,
        broker: Rabbit,
        exchange: str,
        wire: Wire,
        conductor: Conductor,
        options: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.path = path
        self.wire = wire
        self.conductor = conductor
        self.home = directory / "home"
        self.home.mkdir()
        self.home.chmod(0o755)
        self._template = directory / "template"
        self.id = str(uuid.uuid4())
        database = self.home / "db"
        database.mkdir()
        given: dict[str, dict[str, object]] = {
            **mariadb.options(database),
            "operations": {"convergence_engine": path is CodePath.CONVERGENCE},
            "agent": {"volume_wait": 0},
        }
        for group, values in (options or {}).items():
            given.setdefault(group, {}).update(values)
        self.agent = MortalAgent(
            self.home / "agent",
            self.id,
            transport_url=broker.url,
            exchange=exchange,
            datastore=mariadb.DATASTORE,
            options=given,
        )
        self.options = given[mariadb.DATASTORE]
        self.script = self.agent.script
        self.script.look_for(TOUCHING)
        self.beside: list[Callable[[], Mapping[str, Any]]] = []
        wire.declare_guest(self.id)

    @property
    def volume(self) -> Path:
        """Where the data volume is mounted."""
        return Path(str(self.options["mount_point"]))

    @property
    def config_dir(self) -> Path:
        """The server's configuration."""
        return Path(str(self.options["config_dir"]))

    @property
    def log_dir(self) -> Path:
        """The server's logs."""
        return Path(str(self.options["log_dir"]))

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return Path(str(self.options["socket"]))

    # -- asking the agent

    def send(self, method: str, arguments: Mapping[str, Any], *, own: bool = False) -> Sent:
        """Send a request as the control plane would: a call, or a cast whose end it wants to hear of."""
        declared = contract.ALLOWED[OWN if own else TROVE, method]
        namespace = OWN if own else None
        context = request_context(f"trove.common.notification.{method}" if declared.notifies else None)
        answer = None
        if declared.cast:
            self.wire.cast(self.id, method, arguments, version=_version(own), namespace=namespace, context=context)
        else:
            answer = self.wire.begin(
                self.id,
                method,
                arguments,
                version=_version(own),
                namespace=namespace,
                context=context,
                timeout=PATIENCE,
            )
        return Sent(context["request_id"], answer)

    def do(self, method: str, **arguments: Any) -> Any:
        """Have a request done, and return its result."""
        sent = self.send(method, arguments)
        if sent.answer is not None:
            try:
                return sent.answer.result()
            except NoReply:
                life = "runs" if self.agent.running else f"ended with {self.agent.process.returncode}"
                raise AssertionError(f"no reply to {method}; the agent {life}:\n{self.agent.tail()}") from None
        details = self.end_of(sent)
        assert details["state"] == "done", f"{method}: {details['error']}"
        return None

    def ask(self, method: str, **arguments: Any) -> Any:
        """Ask something of our own namespace."""
        return self.wire.call(self.id, method, arguments, namespace=OWN)

    def operation(self, sent: Sent) -> dict[str, Any] | None:
        """What the agent says of the operation of a request; none: it knows of none."""
        for details in self.ask("operation_list", limit=RECENT):
            if details["request_id"] == sent.request_id:
                found: dict[str, Any] = details
                return found
        return None

    def end_of(self, sent: Sent, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for the end of a cast, and return what the agent says of it."""

        def ended() -> dict[str, Any]:
            details = self.operation(sent)
            return details if details is not None and details["ended"] is not None else {}

        return eventually(
            ended, timeout=timeout, message=lambda: f"no end of it; the log:\n{self.agent.tail()}", every=LOOK_SECONDS
        )

    # -- lives and deaths

    def boot(self) -> None:
        """Start the agent and wait until it answers and is at rest."""
        self.agent.boot(self.wire)
        self.wait_for_rest()

    def wait_for_rest(self, timeout: float = PATIENCE) -> None:
        """Wait until no operation is left and the server is as the record wants it."""
        eventually(
            self._rests,
            timeout=timeout,
            message=lambda: f"the guest does not come to rest:\n{self.agent.tail(100)}",
            every=LOOK_SECONDS,
        )

    def _rests(self) -> bool:
        if not all(details["ended"] for details in self.ask("operation_list", limit=RECENT)):
            return False
        status = self.ask("get_status")
        if status["operation"] is not None:
            return False
        return bool(status["phase"] != "ready") or self.server_answers() == (status["wanted"] == "running")

    def wait_for_death(self) -> None:
        """Wait until the script has killed the agent."""
        self.agent.wait_for_death()

    def dies(self, sent: Sent) -> bool:
        """Whether the script kills the agent before a request is done."""
        return self.agent.dies(sent.request_id)

    def slow_down(self, **limits: int) -> None:
        """Have what moves data from now on go slowly, or not: options of ``[backup]``."""
        self.agent.files["machine.conf"].setdefault("backup", {}).update(limits)
        self.agent.write_files()

    # -- asking the server

    def server_answers(self) -> bool:
        """Whether somebody can connect to the server."""
        try:
            with self.connected():
                return True
        except (pymysql.Error, OSError):
            return False

    @contextlib.contextmanager
    def connected(self) -> Iterator["pymysql.Connection[Any]"]:
        """A connection to the server as the agent's own user."""
        text = (self.agent.state_dir / "mariadb-administrator.cnf").read_text()
        facts = option_file.values(text, {"user", "password"}, "client")
        connection = pymysql.connect(
            user=facts["user"],
            password=facts["password"],
            unix_socket=str(self.socket),
            charset="utf8mb4",
            autocommit=True,
            ssl_disabled=True,
            read_timeout=30,
        )
        with connection:
            yield connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the server answers."""
        with self.connected() as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def execute(self, *statements: str) -> None:
        """Have the server do something behind the agent's back."""
        with self.connected() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def processes(self) -> dict[int, str]:
        """All processes of the guest but the agent that was started last, with their command lines."""
        agent = self.agent._process
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and (agent is None or int(entry.name) != agent.pid):
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if f"{self.home}/" in line:
                        found[int(entry.name)] = line.strip()
        return found

    # -- from the beginning

    def prepare(self, **arguments: Any) -> None:
        """Have an empty guest prepared, with something in it that must be kept."""
        self.agent.start()
        self.do("prepare", **{**PREPARE, **arguments})
        self.execute(f"CREATE TABLE {KEPT}.t (a INT PRIMARY KEY, b TEXT)", f"INSERT INTO {KEPT}.t VALUES (1, 'data')")

    def keep(self) -> None:
        """Make the present state the one that :meth:`restore` returns to; the guest is down afterwards."""
        self.agent.terminate()
        self.kill_server(signal.SIGTERM)
        shutil.copytree(self.home, self._template, symlinks=True, copy_function=_copy_with_owner)
        _give_owners(self.home, self._template)

    def restore(self) -> None:
        """Return to what was kept, with nothing running."""
        self.kill()
        _empty(self.home)
        shutil.copytree(self._template, self.home, symlinks=True, dirs_exist_ok=True, copy_function=_copy_with_owner)
        _give_owners(self._template, self.home)

    def renew(self) -> None:
        """Return to what was kept, and have the agent running; nothing was kept: only the agent."""
        if self._template.exists():
            self.restore()
        if not self.agent.running:
            self.boot()

    def wipe(self) -> None:
        """Return to a machine on which nothing has happened, with nothing running."""
        self.kill()
        for path in (self.agent.state_dir, self.agent.directory / "run", self.agent.storage_dir, self.config_dir):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.volume, self.socket.parent, self.log_dir):
            _empty(path)

    def kill(self) -> None:
        """End the agent and everything of the guest at once."""
        if self.agent.running:
            self.agent.kill()
        self.kill_server(signal.SIGKILL)
        self.script.clear()

    def kill_server(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End the server and whatever else of the guest is not the agent, and wait until it is gone."""
        with contextlib.ExitStack() as stack:
            handles = []
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    handles.append(os.pidfd_open(pid))
                    stack.callback(os.close, handles[-1])
                    os.kill(pid, number)
            # A process forgets its command line before it closes its files, and its first thread may go first.
            for handle in handles:
                poller = select.poll()
                poller.register(handle, select.POLLIN)
                assert poller.poll(PATIENCE * 1000), "it survived"
        eventually(lambda: not self.processes(), timeout=PATIENCE, message="it survived")

    def close(self) -> None:
        """End everything."""
        if self.agent._process is not None:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()


def _version(own: bool) -> str:
    return "1.0" if own else "1.3"


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _copy_with_owner(source: str, target: str) -> str:
    shutil.copy2(source, target, follow_symlinks=False)
    return target


def _give_owners(source: Path, target: Path) -> None:
    """Give everything below a copy the owner of what it was copied from."""
    for path in (source, *source.rglob("*")):
        there = path.lstat()
        os.chown(target / path.relative_to(source), there.st_uid, there.st_gid, follow_symlinks=False)
