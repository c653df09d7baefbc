"""The agent as a process, configured by files as an image and a control plane would."""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from guestagent.conformance import code_path
from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.poll import eventually
from guestagent.conformance.wire import Wire

MODULE = "guestagent.cmd.guestagent"
START_SECONDS = 60.0
STOP_SECONDS = 60.0

Groups = dict[str, dict[str, object]]
"""The options of one file by group and name."""


class AgentProcess:
    """One guest's agent, with a directory of its own for everything that it reads and writes.

    Nothing runs before :meth:`start`.

    :param directory: must not exist; the agent's home.
    :param transport_url: of the broker.
    :param exchange: the control exchange.
    :param datastore: what the image declares and the control plane expects.
    :param key: the instance's encryption key; none: messages travel in clear.
    :param options: added to those of the image, or replacing them.
    :param environment: added to the plain environment, or replacing parts of it.
    :param python: the interpreter that has the agent; none: the tests' own.

    :ivar files: the configuration by file name; what a test changes in it is written at the next start.
    :ivar log: the agent's standard output and error, all starts after one another.
    """

    def __init__(
        self,
        directory: Path,
        guest_id: str,
        *,
        transport_url: str,
        exchange: str,
        datastore: str,
        key: str | None = None,
        options: Mapping[str, Mapping[str, object]] | None = None,
        environment: Mapping[str, str] | None = None,
        python: str | Path = sys.executable,
    ) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.guest_id = guest_id
        self.key = key
        self.environment = plain_environment(directory) | dict(environment or {})
        self.python = python
        self.log = directory / "agent.log"
        self.files: dict[str, Groups] = {
            "guest_info.conf": injected_info(guest_id, datastore, key),
            "image.conf": {"image": {"datastore": datastore}},
            "machine.conf": self._machine(),
            "trove-guestagent.conf": {"DEFAULT": {"transport_url": transport_url, "control_exchange": exchange}},
        }
        for group, values in (options or {}).items():
            self.files["machine.conf"].setdefault(group, {}).update(values)
        self._process: Child | None = None

    @property
    def config_dir(self) -> Path:
        """What ``--config-dir`` names."""
        return self.directory / "conf.d"

    @property
    def state_dir(self) -> Path:
        """``[agent] state_dir``."""
        return self.directory / "state"

    @property
    def storage_dir(self) -> Path:
        """``[agent] storage_dir``."""
        return self.directory / "storage"

    @property
    def process(self) -> Child:
        """The process that was started last."""
        assert self._process is not None, "the agent has not been started"
        return self._process

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    def start(self) -> None:
        """Write the files and start the process; returns when it exists, not when it answers."""
        assert not self.running, "the agent runs already"
        self.write_files()
        self._process = Child(
            [*self.command(), "--config-dir", str(self.config_dir)],
            environment=self.environment,
            directory=self.directory,
            output=self.log,
        )

    def command(self) -> list[str]:
        """What is run."""
        return [str(self.python), "-m", MODULE]

    def wait_until_answers(self, wire: Wire, timeout: float = START_SECONDS) -> None:
        """Wait until it answers a ping; the ping waits in the guest's queue until it can be taken.

        :raises AssertionError: the agent ended, or did not answer in ``timeout`` seconds.
        """
        wire.declare_guest(self.guest_id)
        ping = wire.begin(self.guest_id, "rpc_ping", key=self.key, timeout=timeout)
        eventually(
            lambda: ping.answered or not self.running,
            timeout=timeout,
            message=lambda: f"the agent does not answer; the end of its log:\n{self.tail()}",
        )
        if not ping.answered:
            raise AssertionError(f"the agent ended with {self.process.returncode}; its log:\n{self.tail()}")
        assert ping.result() is True

    def boot(self, wire: Wire) -> None:
        """Start the process and wait until it answers."""
        self.start()
        self.wait_until_answers(wire)

    def terminate(self, timeout: float = STOP_SECONDS) -> int:
        """Ask it to end, and wait.

        :returns: what it ended with.
        """
        return self.process.terminate(timeout)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()

    def reload(self) -> None:
        """Write the files and ask it to read them again."""
        self.write_files()
        self.process.signal(signal.SIGHUP)

    def restart(self, wire: Wire) -> None:
        """End it in order, start it again and wait until it answers."""
        self.terminate()
        self.boot(wire)

    def close(self) -> None:
        """End it in order if it runs."""
        if self.running:
            self.terminate()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 60) -> str:
        """The end of the log."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for_log(self, text: str, timeout: float = 60.0) -> None:
        """Wait until the log has the text."""
        eventually(
            lambda: text in self.text(),
            timeout=timeout,
            message=lambda: f"the log has no {text!r}; its end:\n{self.tail()}",
        )

    def write_files(self) -> None:
        """Write :attr:`files`."""
        self.config_dir.mkdir(exist_ok=True)
        for name, groups in self.files.items():
            (self.config_dir / name).write_text(render(groups))

    def _machine(self) -> Groups:
        """What an agent needs to be one of many on a machine without a service manager."""
        return {
            "agent": {
                "state_dir": self.state_dir,
                "run_dir": self.directory / "run",
                "storage_dir": self.storage_dir,
                "process_control": "plain",
                "report_interval": 1,
                # A machine that is busy with other tests is no guest that is.
                "busy_wait": 60,
            },
            **code_path.options(),
        }


def injected_info(guest_id: str, datastore: str, key: str | None) -> Groups:
    """``guest_info.conf`` as the control plane writes it, foreign options included."""
    values: dict[str, object] = {
        "guest_id": guest_id,
        "datastore_manager": datastore,
        "datastore_version": "10.11",
        "tenant_id": "tenant-a",
        "datastore_registry_ext": f"{datastore}:trove.guestagent.datastore.{datastore}.manager.Manager",
        "replication_strategy": f"trove.guestagent.strategies.replication.{datastore}.Replication",
        "ssl_mode": "None",
        "network_isolation": "True",
    }
    return {"DEFAULT": values | ({"instance_rpc_encr_key": key} if key else {})}


def render(groups: Groups) -> str:
    """Options as the text of a configuration file."""
    return "\n".join(
        line
        for group, values in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in values.items()), "")
    )
