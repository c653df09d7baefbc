"""A RabbitMQ of the tests' own, on ports and in a directory of its own."""

import socket
import subprocess
import types
from pathlib import Path
from typing import Self

from guestagent.conformance.certificates import Authority
from guestagent.conformance.child import Child, plain_environment
from guestagent.conformance.poll import eventually
from guestagent.conformance.ports import LOOPBACK, free_port, listens

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
SMALL_MACHINE = "+S 1:1 +P 65536 +t 1048576 +Q 4096"
"""One scheduler and small tables: the defaults are for servers, and take seconds to lay out."""
START_SECONDS = 120.0
STOP_SECONDS = 60.0


class Rabbit:
    """A broker on the loopback interface, with a plain listener and one for TLS.

    :param directory: its home: configuration, cookie, data and logs.
    """

    user = "guest"
    password = "guest"
    tls_host = "localhost"
    """The one name that its certificate is for; by its address the broker cannot be verified."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self.tls_port = free_port()
        self._environment = self._make_environment()
        self.authority = Authority(directory)
        self._configure()
        self._port_mapper: Child | None = None
        self._server: Child | None = None

    @property
    def url(self) -> str:
        """The ``transport_url`` of the plain listener."""
        return f"rabbit://{self.user}:{self.password}@{LOOPBACK}:{self.port}/"

    def tls_url(self, host: str = tls_host) -> str:
        """The ``transport_url`` of the TLS listener."""
        return f"rabbit://{self.user}:{self.password}@{host}:{self.tls_port}/"

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self._directory / "rabbit.log"

    @property
    def running(self) -> bool:
        """Whether the broker's process is there."""
        return self._server is not None and self._server.returncode is None

    def start(self) -> None:
        """Start the broker and wait until it answers; running already: nothing to do."""
        if self.running:
            return
        if self._port_mapper is None:
            # A port mapper that the broker starts by itself would outlive it.
            port = int(self._environment["ERL_EPMD_PORT"])
            mapper = self._port_mapper = self._child("epmd", "-port", str(port), "-address", LOOPBACK)
            eventually(
                lambda: listens(port),
                timeout=START_SECONDS,
                message=lambda: f"the port mapper does not answer; it said {mapper.said()}",
            )
        server = self._server = self._child(str(SERVER))
        eventually(
            lambda: server.returncode is not None or self._answers(),
            timeout=START_SECONDS,
            message=f"the broker does not answer; see {self.log} and {server.output}",
        )
        if server.returncode is not None:
            raise AssertionError(f"the broker ended with {server.returncode}; see {self.log}; it said {server.said()}")

    def stop(self) -> None:
        """Stop the broker in order; what is durable is kept."""
        if self._server is not None:
            self._server.terminate(STOP_SECONDS)
            self._server = None

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def restart(self) -> None:
        """Stop the broker and start it on the same ports; connections and transient queues are gone."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop everything that belongs to the broker."""
        try:
            self.stop()
        finally:
            if self._port_mapper is not None:
                self._port_mapper.kill()
                self._port_mapper = None

    def control(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` answers, for example to ``list_queues name messages``; takes seconds."""
        done = subprocess.run(
            [str(CONTROL), "--quiet", *arguments],
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _child(self, *argv: str) -> Child:
        return Child(
            argv,
            environment=self._environment,
            directory=self._directory,
            output=self._directory / f"{Path(argv[0]).name}.output",
        )

    def _answers(self) -> bool:
        """Whether something greets us in AMQP's words; a listening socket alone is not enough."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(PROTOCOL_HEADER)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _make_environment(self) -> dict[str, str]:
        home = self._directory
        return plain_environment(home) | {
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_NODENAME": f"tests-{self.port}@localhost",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{SMALL_MACHINE} -kernel inet_dist_use_interface {{127,0,0,1}}",
            # The script then becomes the broker instead of waiting for it, so that our signals reach it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _configure(self) -> None:
        certificate, key = self.authority.issue(self.tls_host)
        settings = {
            "listeners.tcp.1": f"{LOOPBACK}:{self.port}",
            "listeners.ssl.1": f"{LOOPBACK}:{self.tls_port}",
            "ssl_options.cacertfile": self.authority.file,
            "ssl_options.certfile": certificate,
            "ssl_options.keyfile": key,
            "ssl_options.verify": "verify_none",
            "log.console": "false",
            "log.file": self.log,
            "disk_free_limit.absolute": "50MB",
            "vm_memory_high_watermark.absolute": "512MB",
        }
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (self._directory / "rabbitmq.conf").write_text("".join(lines))
        (self._directory / "rabbitmq-env.conf").touch()
        (self._directory / "enabled_plugins").write_text("[].\n")


class GivenBroker:
    """A broker that is there already and stays; see :class:`guestagent.conformance.messages.Bus`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def start(self) -> None:
        """Nothing: it is not ours."""
