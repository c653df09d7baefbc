"""A directory that stands for the instance's virtual machine, with the files that such a machine has."""

import configparser
import os
import shutil
import socket
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from guestagent.system.plain import PlainControl
from guestagent.system.processes import Service

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 60


class Machine:
    """Everything that the demo writes, below one temporary directory; use it as a context manager.

    :param transport_url: the broker.
    """

    def __init__(self, transport_url: str) -> None:
        self._transport_url = transport_url
        self.guest_id = str(uuid.uuid4())
        self.port = _free_port()
        self.root = Path(tempfile.mkdtemp(prefix="guestagent-demo-"))
        # The database runs as an account of its own and has to get at its files.
        self.root.chmod(0o755)

    @property
    def config_dir(self) -> Path:
        """What ``--config-dir`` names."""
        return self.root / "conf.d"

    @property
    def log_file(self) -> Path:
        """The agent's log."""
        return self.root / "agent.log"

    def __enter__(self) -> Self:
        self.config_dir.mkdir(mode=0o700)
        self._write("image.conf", self._image())
        self._write("guest_info.conf", self._instance())
        self._write("trove-guestagent.conf", self._operator())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_processes()
        shutil.rmtree(self.root)

    def _image(self) -> dict[str, dict[str, object]]:
        """What the image's builder writes; on an image of its own most of it can be left to the defaults."""
        return {
            "image": {"datastore": "mariadb", "storage_strategies": "local", "modules": "ping"},
            "agent": {
                "process_control": "plain",
                "state_dir": self.root / "state",
                "run_dir": self.root / "run",
                "storage_dir": self.root / "storage",
            },
            "mariadb": {
                "account": "mysql" if os.geteuid() == 0 else "",
                "device_path": "",
                "mount_point": self.root / "data",
                "config_dir": self.root / "mariadb",
                "log_dir": self.root / "log",
                "socket": self.root / "socket" / "mariadb.sock",
                "bind_address": LOOPBACK,
                "port": self.port,
            },
        }

    def _instance(self) -> dict[str, dict[str, object]]:
        """What the control plane injects about the instance."""
        return {"DEFAULT": {"guest_id": self.guest_id, "datastore_manager": "mariadb", "tenant_id": "demo"}}

    def _operator(self) -> dict[str, dict[str, object]]:
        """What the operator has every guest be given."""
        return {
            "DEFAULT": {
                "transport_url": self._transport_url,
                "control_exchange": "guestagent-demo",
                # Not the real conductor's topic: the broker may be one that has a control plane.
                "conductor_queue": f"demo-conductor.{self.guest_id}",
                "log_file": self.log_file,
            },
            "oslo_messaging_rabbit": {"amqp_auto_delete": True},
        }

    def _write(self, name: str, options: dict[str, dict[str, object]]) -> None:
        parser = configparser.RawConfigParser(default_section="")
        parser.read_dict(options)
        path = self.config_dir / name
        path.touch(mode=0o600)
        with path.open("w") as stream:
            parser.write(stream)

    def _end_processes(self) -> None:
        """Stop what still runs, as after a failure or Ctrl-C: the database outlives its agent on purpose."""
        for record in (self.root / "run").glob("*.json"):
            service = Service(name=record.stem, argv=(), log=self.log_file)
            PlainControl(record.parent).stop(service, STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
