"""What the tests of the commands share: a machine with an image, and the program on it."""

import dataclasses
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.packages import Site

MANAGER = """
from guestagent.contract.databases import Database
from guestagent.contract.errors import NotFound
from guestagent.contract.states import Phase, ServiceStatus
from guestagent.manager import BaseDatastoreManager

class Manager(BaseDatastoreManager):
    def service_status(self):
        return ServiceStatus.HEALTHY

    def prepare(self, context, packages, databases, memory_mb, users, device_path=None, mount_point=None,
                backup_info=None, config_contents=None, root_password=None, overrides=None, cluster_config=None,
                snapshot=None, modules=None, ds_version=None):
        self.guest.record.change(phase=Phase.READY, datastore_version=ds_version)

    def create_database(self, context, databases):
        (self.guest.state_dir / "created").write_text(",".join(database.name for database in databases))

    def list_databases(self, context, limit=None, marker=None, include_marker=False):
        return [Database("shop", "utf8"), Database("wiki")][:limit], None

    def delete_database(self, context, database):
        raise NotFound(subject=f"Database {database.name}")

    def restart(self, context):
        return None
"""

WITH_AGENT = """
import json, sys

from guestagent.system import threads
threads.select()
from oslo_config import cfg
from guestagent import conf
from guestagent.cmd import guestagentctl
from guestagent.plugins.declaration import Declaration
from guestagent.plugins.loader import load
from guestagent.service import AgentService
from oslo_messaging._drivers.impl_fake import FakeExchangeManager

# The in-memory bus forgets all messages when the first of its users leaves; a broker does not.
FakeExchangeManager.cleanup = classmethod(lambda cls: None)
file, commands = sys.argv[1], json.loads(sys.argv[2])
conf.load(cfg.CONF, ["--config-file", file], "test")
service = AgentService(cfg.CONF, load(Declaration.read(cfg.CONF)))
service.start()
codes = [guestagentctl.main([*command, "--config-file", file]) for command in commands]
service.stop()
sys.exit(max(codes))
"""

GUEST_ID = "5c97687d-cddb-4fe1-9f0a-1f343ab75dc6"


@dataclasses.dataclass
class Machine:
    """A machine whose image holds the datastore ``alpha``."""

    site: Site
    directory: Path

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    def ctl(self, *typed: str, injected: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the program where no agent runs."""
        return self.site.run("-m", "guestagent.cmd.guestagentctl", *typed, "--config-file", self._file(injected or {}))

    def with_agent(self, *commands: list[str]) -> subprocess.CompletedProcess[str]:
        """Run commands, one after the other, beside an agent on the bus of the same process."""
        injected = {"guest_id": GUEST_ID, "datastore_manager": "alpha", "transport_url": "fake://"}
        return self.site.run("-c", WITH_AGENT, self._file(injected), json.dumps(commands))

    def _file(self, injected: Mapping[str, str]) -> str:
        file = self.site.configure({"datastore": "alpha", "storage_strategies": "local"}, injected)
        with file.open("a") as stream:
            stream.write(
                f"[agent]\nstate_dir = {self.state_dir}\nrun_dir = {self.directory}\nprocess_control = plain\n"
            )
        return str(file)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    site = Site(tmp_path)
    site.install("guest-alpha", {"alpha": MANAGER}, {"guestagent.datastore": {"alpha": "alpha:Manager"}})
    return Machine(site, tmp_path)


def answered(process: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a program got."""
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
