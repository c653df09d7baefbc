"""The story that the demo tells: an instance from its birth to its end."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pymysql
from oslo_config import cfg
from pymysql.connections import Connection

from examples.control_plane import ControlPlane, Unexpected
from examples.machine import LOOPBACK
from examples.screen import Screen
from guestagent.operations.plan import StepDone
from guestagent.plugins.declaration import Declaration
from guestagent.plugins.loader import load
from guestagent.service import AgentService

DATABASE = {"_name": "shop", "_character_set": "utf8mb4", "_collate": "utf8mb4_general_ci"}
CONNECTIONS = 123


class Scenario:
    """Plays it, with an agent in this process and a control plane beside it.

    :param conf: the global ``cfg.CONF``, loaded with the machine's files.
    :param screen: shows it.
    """

    def __init__(self, conf: cfg.ConfigOpts, screen: Screen) -> None:
        self._conf = conf
        self._screen = screen
        self._password = secrets.token_urlsafe(16)

    def play(self) -> None:
        """Play it to its end.

        :raises Unexpected: something was not as it should be.
        :raises GuestAgentError: the guest could not do something.
        """
        with ControlPlane(self._conf, self._screen) as control_plane, self._agent():
            self._control_plane = control_plane
            self._wait_for_agent()
            self._prepare()
            self._create_database_and_users()
            self._log_in()
            self._ask_for_too_much()
            self._override()
            self._restart()
            self._stop()

    @contextlib.contextmanager
    def _agent(self) -> Iterator[None]:
        self._screen.heading("The agent starts on a machine that has booted from a MariaDB image")
        loaded = load(Declaration.read(self._conf))
        plugin = loaded.description["datastore"]
        self._screen.says("agent", f"the image declares {plugin['name']}: {plugin['distribution']} {plugin['version']}")
        agent = AgentService(self._conf, loaded, watch=self._show_step)
        agent.start()
        try:
            yield
        finally:
            agent.stop()
            self._screen.says("agent", "has finished what it was doing, and is gone")

    def _show_step(self, done: StepDone) -> None:
        self._screen.says("agent", f"{done.plan} {done.number}/{done.steps}: {done.step}, {done.seconds:.2f} s")

    def _wait_for_agent(self) -> None:
        self._control_plane.wait_until_listening()
        self._control_plane.heard.wait_for_status("building")
        document = self._control_plane.call("describe", own=True)
        supported = [call["name"] for call in document["calls"] if call["supported"]]
        lacking = [name for name, supports in document["capabilities"].items() if not supports]
        calls = f"{len(supported)} of {len(document['calls'])} calls"
        self._screen.says("agent", f"supports {calls}; what it lacks: {', '.join(lacking)}")

    def _prepare(self) -> None:
        self._screen.heading("The control plane makes it an instance")
        heard = len(self._control_plane.heard.statuses)
        arguments = {"packages": "", "databases": [], "memory_mb": 512, "users": [], "ds_version": "10.11"}
        _expect(self._control_plane.cast("prepare", arguments), None, "the error of prepare")
        self._control_plane.heard.wait_for_status("healthy", since=heard)

    def _create_database_and_users(self) -> None:
        self._screen.heading("A user wants a database, and somebody who may use it")
        error = self._control_plane.cast("create_database", {"databases": [DATABASE]})
        _expect(error, None, "the error of create_database")
        page, _ = self._control_plane.call("list_databases", {"limit": 20})
        _expect(page, [DATABASE], "the list of databases")
        users = [self._user("alice", "%"), self._user("bob", "10.0.0.%")]
        _expect(self._control_plane.cast("create_user", {"users": users}), None, "the error of create_user")
        page, _ = self._control_plane.call("list_users", {"limit": 20})
        _expect([(user["_name"], user["_host"]) for user in page], [("alice", "%"), ("bob", "10.0.0.%")], "the users")

    def _user(self, name: str, host: str) -> dict[str, Any]:
        return {"_name": name, "_host": host, "_password": self._password, "_databases": [{"_name": "shop"}]}

    def _log_in(self) -> None:
        self._screen.heading("The user logs in")
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE apples (colour VARCHAR(20))")
            cursor.execute("INSERT INTO apples VALUES ('red'), ('green')")
            connection.commit()
        self._screen.says(
            "user", f"logs in as alice on port {self._conf.mariadb.port}, makes a table, puts 2 apples in"
        )
        self._expect_apples()

    def _ask_for_too_much(self) -> None:
        self._screen.heading("What this guest cannot do, it says at once")
        refusal = self._control_plane.refusal("get_txn_count")
        if "get_txn_count" not in refusal or "mariadb" not in refusal:
            raise Unexpected(f"the refusal of get_txn_count names neither it nor the datastore: {refusal}")
        error = self._control_plane.cast("create_backup", {"backup_info": {"id": "b1", "backup_type": "full"}})
        if error is None:
            raise Unexpected("create_backup was not refused")

    def _override(self) -> None:
        self._screen.heading("A setting changes while the server runs")
        overrides = {"max_connections": CONNECTIONS}
        self._control_plane.call("update_overrides", {"overrides": overrides})
        self._control_plane.call("apply_overrides", {"overrides": overrides})
        self._expect_connections()

    def _restart(self) -> None:
        self._screen.heading("The server restarts, and everything is as it was")
        heard = len(self._control_plane.heard.statuses)
        self._control_plane.call("restart")
        self._control_plane.heard.wait_for_status("healthy", since=heard)
        self._expect_connections()
        self._expect_apples()

    def _stop(self) -> None:
        self._screen.heading("The instance is deleted")
        heard = len(self._control_plane.heard.statuses)
        self._control_plane.call("stop_db")
        self._control_plane.heard.wait_for_status("shutdown", since=heard)

    def _expect_connections(self) -> None:
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@global.max_connections")
            found = cursor.fetchone()
        _expect(found, (CONNECTIONS,), "max_connections")
        self._screen.says("user", f"sees max_connections = {CONNECTIONS}")

    def _expect_apples(self) -> None:
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT colour FROM apples ORDER BY colour")
            found = [colour for (colour,) in cursor.fetchall()]
        _expect(found, ["green", "red"], "the apples")
        self._screen.says("user", f"finds {' and '.join(found)} apples")

    def _connection(self) -> "Connection[Any]":
        return pymysql.connect(
            host=LOOPBACK, port=self._conf.mariadb.port, user="alice", password=self._password, database="shop"
        )


def _expect(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise Unexpected(f"{what} should be {json.dumps(wanted)}, and is {json.dumps(found)}")
