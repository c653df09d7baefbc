"""A guest of the interop tests: an instance of the control plane, and the agent that serves it."""

import configparser
import contextlib
import types
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pymysql
import pytest

from guestagent.conformance.agent import AgentProcess, Groups
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK
from guestagent.system.plain import PlainControl
from guestagent.system.processes import Service
from tests.interop.control_plane import LATEST, STOP_SECONDS, ControlPlane, TroveError
from tests.support import mariadb

CREATE = "DBaaSInstanceCreate"
PREPARE: Mapping[str, Any] = {
    "memory_mb": 512,
    "packages": "",
    "databases": [],
    "users": [],
    "device_path": "",
    "mount_point": None,
    "config_contents": "[mysqld]\nmax_connections = 80\n",
    "overrides": {},
    "modules": [],
    "ds_version": "10.11",
}
"""What the task manager sends, for a machine without a volume of its own."""
PREPARED_SECONDS = 90.0


class Client:
    """Trove's client for one instance, and the REST API about it.

    :param level: what ``[upgrade_levels] guestagent`` says.
    :ivar called: the methods of the client that were called.
    """

    def __init__(self, control_plane: ControlPlane, instance_id: str, level: str) -> None:
        self.called: set[str] = set()
        self._control_plane = control_plane
        self._instance_id = instance_id
        self._level = level

    def call(self, method: str, /, notify: str | None = None, **arguments: Any) -> Any:
        """Call a method of Trove's client.

        :param notify: the notification that the API makes for such a request.
        :raises TroveError: what the client raised.
        """
        self.called.add(method)
        return self._control_plane.do(
            "call",
            instance_id=self._instance_id,
            method=method,
            arguments=arguments,
            level=self._level,
            notify=notify,
        )

    def refusal(self, method: str, /, **arguments: Any) -> str:
        """Call a method that must fail; what the client says then."""
        with pytest.raises(TroveError) as refused:
            self.call(method, **arguments)
        assert refused.value.kind == "GuestError"
        return refused.value.text

    def rest(self, method: str, path: str = "", body: Any = None, *, management: bool = False) -> tuple[int, Any]:
        """A request to the REST API: its status and its body.

        :param path: below the instance.
        :param management: of the API for operators.
        """
        prefix = "/mgmt" if management else ""
        answer = self._control_plane.do(
            "rest",
            method=method,
            path=f"{prefix}/instances/{self._instance_id}{path}",
            body=body,
            level=self._level,
        )
        return answer["status"], answer["body"]


class Guest:
    """An instance and its agent, which is not started yet.

    :param directory: must not exist; reachable for the server's account, and short.
    :param encrypted: whether the control plane gives the instance a key.
    :param level: see :class:`Client`.
    :param datastore: what the image declares.
    :param options: makes the options of its plugin, for a server in a directory.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        directory: Path,
        *,
        encrypted: bool,
        level: str = LATEST,
        datastore: str = mariadb.DATASTORE,
        options: Callable[[Path], Groups] = mariadb.options,
    ) -> None:
        directory.mkdir()
        self.datastore = datastore
        self.encrypted = encrypted
        self.level = level
        self.control_plane = control_plane
        self.id: str = control_plane.do("create_instance", manager=datastore, encrypted=encrypted)
        self.client = Client(control_plane, self.id, level)
        self.agent = self._make_agent(directory, options)

    @property
    def key(self) -> str | None:
        """What the control plane injected."""
        found = self.agent.files["guest_info.conf"]["DEFAULT"].get("instance_rpc_encr_key")
        return str(found) if found else None

    @property
    def port(self) -> int:
        """Where clients reach the server."""
        return int(str(self.agent.files["machine.conf"]["mariadb"]["port"]))

    def prepare(self, **arguments: Any) -> None:
        """Have it prepared: the request is sent before the agent boots."""
        self.client.call("prepare", notify=CREATE, **{**PREPARE, **arguments})
        self.agent.start()
        self.wait_for_status("healthy", PREPARED_SECONDS)

    def restart(self) -> None:
        """Restart the server as the API and the task manager do together."""
        self.control_plane.do("begin_restart", instance_id=self.id)
        assert self.client.call("restart") is None
        self.wait_for_status("healthy")

    def status(self) -> str:
        """What the control plane's database says of the service."""
        [(found,)] = self.control_plane.database.rows(
            "SELECT status_description FROM service_statuses WHERE instance_id = %s", self.id
        )
        return str(found)

    def statuses(self) -> list[str]:
        """How it was, in order, without repetitions."""
        rows = self.control_plane.database.rows("SELECT status FROM heard WHERE instance_id = %s ORDER BY n", self.id)
        heard = [status for (status,) in rows]
        return [status for n, status in enumerate(heard) if n == 0 or heard[n - 1] != status]

    def wait_for_status(self, wanted: str, timeout: float = 30.0) -> None:
        """Wait until the control plane's database has the status."""
        eventually(
            lambda: self.status() == wanted,
            timeout=timeout,
            message=lambda: f"the service is not {wanted!r}; it was {self.statuses()}; {self.agent.tail(20)}",
        )

    def apply_until_a_restart_is_required(self, overrides: dict[str, Any]) -> None:
        """Apply overrides that wait for a restart, and wait until the control plane knows it."""

        def is_known() -> bool:
            # The conductor works on several reports at a time and drops one that a newer heartbeat overtook; asking
            # again is safe.
            self.client.call("apply_overrides", overrides=overrides)
            with contextlib.suppress(AssertionError):
                self.wait_for_status("restart required", timeout=5)
                return True
            return False

        eventually(is_known, timeout=60, message="the control plane never heard of it")

    def log_in(self, name: str, password: str, statement: str = "SELECT 1") -> tuple[Any, ...]:
        """What a client of the database is answered.

        :raises pymysql.MySQLError: the server refuses.
        """
        with (
            pymysql.connect(
                host=LOOPBACK, port=self.port, user=name, password=password, read_timeout=30, autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    def lets_in(self, name: str, password: str) -> bool:
        """Whether a client can log in."""
        try:
            self.log_in(name, password)
        except pymysql.OperationalError:
            return False
        return True

    def close(self) -> None:
        """End the agent and the server."""
        self.agent.close()
        for record in (self.agent.directory / "run").glob("*.json"):
            server = Service(record.stem, argv=[], log=self.agent.log, user=None)
            PlainControl(record.parent).stop(server, STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _make_agent(self, directory: Path, options: Callable[[Path], Groups]) -> AgentProcess:
        database = directory / "database"
        database.mkdir()
        made = AgentProcess(
            directory / "agent",
            self.id,
            transport_url=self.control_plane.broker.url,
            exchange=self.control_plane.exchange,
            datastore=self.datastore,
            options=options(database) | {"agent": {"volume_wait": 0}},
        )
        for path, text in self.control_plane.do("injected_files", instance_id=self.id).items():
            made.files[Path(path).name] = _parsed(text)
        return made


def unique(kind: str) -> str:
    """A name that no other test uses."""
    return f"{kind}_{uuid.uuid4().hex[:8]}"


def _parsed(text: str) -> Groups:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {"DEFAULT": dict(parser.defaults())} | {name: dict(parser[name]) for name in parser.sections()}
