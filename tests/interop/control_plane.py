"""The control plane of the interop tests: Trove's processes and its database."""

import json
import subprocess
import types
from pathlib import Path
from typing import Any, Self

from guestagent.conformance import messages
from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.conductor import TOPIC
from guestagent.conformance.poll import eventually
from guestagent.conformance.rabbit import Rabbit
from tests.interop.database import Database

DRIVER = Path(__file__).with_name("driver.py")
LATEST = "latest"
END_WITH_US = ("/usr/bin/setpriv", "--pdeathsig", "TERM", "--")
START_SECONDS = 180.0
STOP_SECONDS = 30.0

OPTIONS = """\
[DEFAULT]
transport_url = {broker.url}
control_exchange = {exchange}
guest_config = {guest_config}
agent_call_low_timeout = 30
agent_call_high_timeout = 60
trove_conductor_workers = 1

[database]
connection = {database.url}

[oslo_messaging_notifications]
driver = log
"""

DRIVER_OPTIONS = """\
[DEFAULT]
remote_nova_client = other_services.compute
remote_neutron_client = other_services.network
remote_swift_client = other_services.object_store
"""
"""The modules are those beside the driver."""

GUEST_OPTIONS = """\
[DEFAULT]
transport_url = {broker.url}
control_exchange = {exchange}
"""


class TroveError(Exception):
    """What Trove's code raised, by the name of its class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class ControlPlane:
    """Trove's conductor, and Trove's client and REST API behind :meth:`do`, on one exchange.

    :param directory: takes its files.
    :param database: is empty.
    :param python: the interpreter that has Trove.
    """

    def __init__(self, directory: Path, python: Path, database: Database, broker: Rabbit, exchange: str) -> None:
        self.database = database
        self.broker = broker
        self.exchange = exchange
        self._directory = directory
        self._python = python
        self._environment = plain_environment(directory)
        self._configure()
        self._make_tables()
        self._conductor = self._start_conductor()
        self._driver = self._start_driver()
        self._wait_for_conductor()

    def do(self, command: str, **arguments: Any) -> Any:
        """Let Trove do one thing and return what came of it; see ``driver.py``.

        :raises TroveError: what Trove raised.
        """
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps({"do": command, "with": arguments}) + "\n")
        self._driver.stdin.flush()
        line = self._driver.stdout.readline()
        assert line, f"the driver ended; see {self._file('driver.log')}"
        answer = json.loads(line)
        if "error" in answer:
            raise TroveError(answer["error"]["class"], answer["error"]["text"])
        return answer["result"]

    def conductor_log(self) -> str:
        """What the conductor logs; notifications are among it."""
        return self._file("conductor.log").read_text(errors="replace")

    def close(self) -> None:
        """End every process."""
        assert self._driver.stdin is not None
        self._driver.stdin.close()
        try:
            self._driver.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            raise
        finally:
            self._conductor.terminate(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _file(self, name: str) -> Path:
        return self._directory / name

    def _configure(self) -> None:
        guest_config = self._file("trove-guestagent.conf")
        shared = {"broker": self.broker, "exchange": self.exchange}
        guest_config.write_text(GUEST_OPTIONS.format(**shared))
        self._file("driver.conf").write_text(DRIVER_OPTIONS)
        self._file("trove.conf").write_text(OPTIONS.format(**shared, guest_config=guest_config, database=self.database))

    def _command(self, program: Path, name: str) -> list[str]:
        return [
            str(program),
            "--config-file",
            str(self._file("trove.conf")),
            "--log-file",
            str(self._file(f"{name}.log")),
        ]

    def _make_tables(self) -> None:
        done = subprocess.run(
            [*self._command(self._python.with_name("trove-manage"), "manage"), "db_sync"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        self.database.keep_statuses()

    def _start_conductor(self) -> Child:
        return Child(
            self._command(self._python.with_name("trove-conductor"), "conductor"),
            environment=self._environment,
            directory=self._directory,
            output=self._file("conductor.output"),
        )

    def _start_driver(self) -> "subprocess.Popen[str]":
        command = self._command(DRIVER, "driver")
        with self._file("driver.output").open("w") as output:
            return subprocess.Popen(
                [*END_WITH_US, str(self._python), *command, "--config-file", str(self._file("driver.conf"))],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )

    def _wait_for_conductor(self) -> None:
        with messages.connect(self.broker.url) as connection:
            channel = connection.channel()
            messages.declare_topic(channel, self.exchange, TOPIC)
            eventually(
                lambda: channel.queue_declare(TOPIC, passive=True).consumer_count,
                timeout=START_SECONDS,
                message=f"the conductor does not listen; see {self._file('conductor.log')}",
            )
