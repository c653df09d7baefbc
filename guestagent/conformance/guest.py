"""A guest with the datastore that is tried: its agent, its server, and the control plane's side of both."""

import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from guestagent import contract
from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor, Report
from guestagent.conformance.datastore import Account, Datastore
from guestagent.conformance.disk import Disk
from guestagent.conformance.messages import Bus
from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import CallFailed, Failure, Pending, Wire, request_context
from guestagent.contract.call import OWN, TROVE, VERSIONS, Call
from guestagent.system import procfs
from guestagent.system.procfs import Process

PATIENCE = 90.0
"""Seconds for whatever an agent or a server does."""
RECENT = 10
"""Operations that are asked for: more than what a test does at a time."""
KEPT, KEEPER, PASSWORD = "kept", "keeper", "Wee/bickering 1"
"""The database and the user that prepare is given, where the plugin has such."""
ERRORS = "guestagent.contract.errors"


def declared_as(call: str) -> Call:
    """The contract's declaration of a call."""
    return contract.ALLOWED.get((TROVE, call)) or contract.ALLOWED[OWN, call]


class Refused(Exception):
    """The guest did not do what it was asked, and said why.

    :ivar kind: the name of the error's class.
    :ivar sentence: for people.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind
        self.sentence = sentence


class Guest:
    """One guest, not started. Everything between it and the control plane is encrypted.

    :param datastore: as its author describes it.
    :param directory: must not exist; the guest's home, which the server's account can reach.
    :param storage: where the built-in storage strategy keeps backups and published logs.

    :cvar kind_of_agent: what its agent is.
    :ivar disk: of the machine, where a test has put one.
    """

    kind_of_agent: ClassVar[type[AgentProcess]] = AgentProcess

    def __init__(self, datastore: type[Datastore], directory: Path, storage: Path, bus: Bus) -> None:
        self.id = str(uuid.uuid4())
        self.key = uuid.uuid4().hex
        home = directory / "server"
        home.mkdir(parents=True)
        self.datastore = datastore(home)
        exchange = f"conformance-{uuid.uuid4().hex[:8]}"
        self.wire = Wire(bus, exchange)
        self.conductor = Conductor(bus, exchange, {self.id: self.key})
        self.agent = self.kind_of_agent(
            directory / "agent",
            self.id,
            transport_url=bus.url,
            exchange=exchange,
            datastore=datastore.name,
            key=self.key,
            options=self._options(storage),
            python=os.environ.get("GUESTAGENT_PYTHON") or sys.executable,
        )
        self.storage = storage
        self.disk: Disk | None = None

    def _options(self, storage: Path) -> dict[str, dict[str, object]]:
        image: dict[str, object] = {"storage_strategies": "local", "modules": "ping"}
        strategies = {
            "backup_strategies": self.datastore.backup_strategy,
            "archive_strategies": self.datastore.archive_strategy,
        }
        ours: dict[str, dict[str, object]] = {
            "image": image | {option: strategy for option, strategy in strategies.items() if strategy},
            "agent": {"storage_dir": storage, "volume_wait": 0},
        }
        given = self.datastore.options()
        return {group: {**given.get(group, {}), **ours.get(group, {})} for group in {**given, **ours}}

    # -- what it is

    def supports(self, *calls: str) -> bool:
        """Whether the agent says that it supports all of the calls."""
        document = self.ask("describe")
        supported = {call["name"] for call in document["calls"] if call["supported"]}
        return supported.issuperset(calls)

    @property
    def account(self) -> Account:
        """The user that prepare was given, in its database."""
        return self.user(KEEPER)

    def user(self, name: str, password: str = PASSWORD) -> Account:
        """An account in the database that prepare was given, if the datastore has databases."""
        return Account(name, password, KEPT if self.supports("create_database") else None)

    @property
    def server(self) -> Process | None:
        """The server's process as the agent has written it down, be it gone; none: it has written down none."""
        for record in (self.agent.directory / "run").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                return msgspec.convert(msgspec.json.decode(record.read_bytes())["process"], Process | None)
        return None

    @property
    def server_pid(self) -> int | None:
        """The id of that process."""
        server = self.server
        return server.pid if server else None

    def processes(self) -> list[Process]:
        """All processes of the guest but its agent: its server's, and those whose command lines name its home."""
        agent = self.agent.process.pid if self.agent.running else None
        home = f"{self.agent.directory.parent}/"
        known = self.server
        named = [one for one in procfs.running() if home in " ".join(procfs.command_line(one)) and one.pid != agent]
        leaders = named if known is None else [known, *named]
        return list(dict.fromkeys(member for leader in leaders for member in procfs.family(leader)))

    # -- asking it

    def do(self, method: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Have a request done as the control plane does: a call's result, or nothing when a cast has ended.

        :raises Refused: it was refused, or has failed.
        """
        request_id, answer = self.send(method, {**(arguments or {}), **more})
        if answer is None:
            return self.end_of(method, request_id)
        try:
            return answer.result()
        except CallFailed as failed:
            raise _refused(failed.failure) from None

    def attempt(self, method: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Refused | None:
        """Have a request done that may be refused.

        :returns: how it was refused, with an error of the contract; none: it was done.
        :raises AssertionError: the agent itself made a mistake.
        """
        try:
            self.do(method, arguments, **more)
        except Refused as refused:
            found = refused
        else:
            return None
        assert found.kind != "InternalError", found
        return found

    def refusal(self, method: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Refused:
        """Ask for what must be refused with an error of the contract, and return that.

        :raises AssertionError: it was done, or the agent itself made a mistake.
        """
        refused = self.attempt(method, arguments, **more)
        assert refused is not None, f"{method} was done, and should have been refused"
        return refused

    def ask(self, method: str, **arguments: Any) -> Any:
        """Ask something of the agent's own namespace."""
        return self.wire.call(self.id, method, arguments, namespace=OWN, key=self.key)

    def send(self, method: str, arguments: Mapping[str, Any]) -> tuple[str, Pending | None]:
        """Send a request; its id, and the pending answer of a call."""
        declared = declared_as(method)
        namespace = declared.namespaces[0]
        context = request_context(f"notification.{method}" if declared.notifies else None)
        how: dict[str, Any] = {
            "version": ".".join(map(str, VERSIONS[namespace])),
            "namespace": namespace or None,
            "context": context,
            "key": self.key,
        }
        if declared.cast:
            self.wire.cast(self.id, method, arguments, **how)
            return context["request_id"], None
        return context["request_id"], self.wire.begin(self.id, method, arguments, timeout=PATIENCE, **how)

    def end_of(self, method: str, request_id: str) -> None:
        """Wait for the end of a cast.

        :raises Refused: it was refused, or has failed.
        """
        if contract.ALLOWED[TROVE, method].notifies:
            self._check_told(request_id)
            return
        ended = eventually(
            lambda: self.operation(request_id, ended=True),
            timeout=PATIENCE,
            message=lambda: f"{method} does not end; the log:\n{self.agent.tail()}",
        )
        if ended["state"] != "done":
            raise Refused("", ended["error"])

    def operation(self, request_id: str, *, ended: bool = False) -> dict[str, Any]:
        """What the agent says of the operation of a request; nothing: it knows of none, or of none that has ended."""
        for details in self.ask("operation_list", limit=RECENT):
            if details["request_id"] == request_id and (details["ended"] or not ended):
                return dict(details)
        return {}

    def _check_told(self, request_id: str) -> None:
        report = self.conductor.wait_for(lambda report: _tells_end_of(report, request_id), PATIENCE, what="the end")
        if report.method == "notify_exc_info":
            kind, _, sentence = report.args["exception"][0].partition(": ")
            assert sentence == report.args["message"]
            raise Refused(kind, sentence)

    # -- its life

    def preparation(self) -> dict[str, Any]:
        """The arguments of prepare: a database and a user where the datastore can have them."""
        database = {"_name": KEPT}
        databases = [database] if self.supports("create_database") else []
        user = {"_name": KEEPER, "_password": PASSWORD, "_databases": databases}
        return {
            "packages": "",
            "databases": databases,
            "memory_mb": 512,
            "users": [user] if self.supports("create_user") else [],
            "config_contents": self.datastore.config_contents,
            "ds_version": self.datastore.version,
        }

    def prepare(self, **arguments: Any) -> None:
        """Start the agent if it does not run, and have the instance prepared.

        :param arguments: instead of those of :meth:`preparation`.
        :raises Refused: it failed.
        """
        if not self.agent.running:
            self.agent.boot(self.wire)
        self.do("prepare", {**self.preparation(), **arguments})

    def wait_for_status(self, *statuses: str, after: int = 0) -> Report:
        """The first heartbeat that says one of the statuses; see :meth:`Conductor.wait_for`."""
        return self.conductor.wait_for_status(self.id, *statuses, timeout=PATIENCE, after=after)

    @property
    def heard(self) -> int:
        """How much the conductor has heard so far."""
        return len(self.conductor.reports)

    def status(self) -> str:
        """How the service is now."""
        return str(self.ask("get_status")["service_status"])

    def reboot_agent(self) -> None:
        """End the agent in order, and start it again."""
        self.agent.restart(self.wire)

    def kill_agent(self) -> None:
        """End the agent at once, and start it again."""
        self.agent.kill()
        self.agent.boot(self.wire)

    def kill_server(self) -> int:
        """End the server at once; the process that it was."""
        pid = self.server_pid
        assert pid is not None, "no server runs"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_rest(self) -> None:
        """Wait until no operation is left."""
        eventually(
            lambda: all(details["ended"] for details in self.ask("operation_list", limit=RECENT)),
            timeout=PATIENCE,
            message=lambda: f"the guest does not come to rest; the log:\n{self.agent.tail()}",
        )

    def close(self) -> None:
        """End everything that runs."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.wire.close)
            stack.callback(self.conductor.close)
            stack.callback(self.end_server)
            stack.callback(self.agent.close)

    def end_server(self) -> None:
        """Kill whatever of the guest is not its agent, and wait until nothing is left of it."""
        ended: list[Process] = []
        while members := self.processes():
            for member in members:
                procfs.send_signal(member, signal.SIGKILL)
            procfs.wait(members, PATIENCE)
            ended += members
        # A server takes a process id that is still known for its predecessor's, which runs. Who has lost its parent is
        # known until the machine has taken note; of its own children the agent takes note, when it is not stopped.
        agent = self.agent.process.pid if self.agent.running else None
        eventually(
            lambda: all(now != one or now.parent == agent for one in ended if (now := procfs.look_up(one.pid))),
            timeout=PATIENCE,
            message="the machine takes no note of who has ended",
        )


MakeGuest = Callable[..., Guest]
"""Makes a guest, or one of a class that derives from it."""


def _tells_end_of(report: Report, request_id: str) -> bool:
    if report.method not in ("notify_end", "notify_exc_info"):
        return False
    return bool(report.args["serialized_notification"].get("request_id") == request_id)


def _refused(failure: Failure) -> Refused:
    """An error of the contract; nothing else may leave the guest, and never with a traceback."""
    assert failure.module == ERRORS, f"{failure.module}.{failure.class_name}: {failure.message}"
    return Refused(failure.class_name, failure.message)
