"""The control plane of the interop tests: Trove's processes, its database, and the way to its client."""

import json
import subprocess
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.child import plain_environment
from tests.support.rabbit import Rabbit

DRIVER = Path(__file__).with_name("driver.py")
LATEST = "latest"


class TroveError(Exception):
    """What Trove's code raised, by the name of its class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class ControlPlane:
    """Trove with a database of its own, on one exchange.

    :param directory: takes its files.
    :param python: the interpreter that has Trove.
    """

    def __init__(self, directory: Path, python: Path, broker: Rabbit, exchange: str) -> None:
        self.broker = broker
        self.exchange = exchange
        self._directory = directory
        self._python = python
        self._environment = plain_environment(directory)
        self._configuration = directory / "trove.conf"
        self._configuration.write_text(
            "[DEFAULT]\n"
            f"transport_url = {broker.url}\n"
            f"control_exchange = {exchange}\n"
            "[database]\n"
            f"connection = sqlite:///{directory}/trove.sqlite\n"
        )
        self._make_database()
        self._driver = self._start_driver()

    def do(self, command: str, **arguments: Any) -> Any:
        """Let Trove do one thing and return what came of it.

        :raises TroveError: what Trove raised.
        """
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps({"do": command, "with": arguments}) + "\n")
        self._driver.stdin.flush()
        line = self._driver.stdout.readline()
        if not line:
            raise AssertionError(f"the driver ended; see {self._directory}/driver.log")
        answer = json.loads(line)
        if "error" in answer:
            raise TroveError(answer["error"]["class"], answer["error"]["text"])
        return answer["result"]

    def close(self) -> None:
        """End every process."""
        assert self._driver.stdin is not None
        self._driver.stdin.close()
        self._driver.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _make_database(self) -> None:
        program = self._python.with_name("trove-manage")
        done = subprocess.run(
            [str(program), "--config-file", str(self._configuration), "db_sync"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _start_driver(self) -> subprocess.Popen[str]:
        with (self._directory / "driver.log").open("a") as log:
            return subprocess.Popen(
                [str(self._python), str(DRIVER), "--config-file", str(self._configuration), "--log-file", log.name],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )


class Client:
    """Trove's client for one instance.

    :param level: what ``[upgrade_levels] guestagent`` says.
    :ivar called: the methods that were called.
    """

    def __init__(self, control_plane: ControlPlane, instance_id: str, level: str = LATEST) -> None:
        self.called: set[str] = set()
        self._control_plane = control_plane
        self._instance_id = instance_id
        self._level = level

    def call(self, method: str, /, notify: str | None = None, **arguments: Any) -> Any:
        """Call a method; see :meth:`ControlPlane.do`.

        :param notify: the notification that the API makes for such a request.
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


def names(items: list[Mapping[str, Any]]) -> list[str]:
    """The names of databases or users as they travel."""
    return [item["_name"] for item in items]
