"""A datastore that is one file, of which backups are made."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guestagent.capabilities.backups import BackedUp
from guestagent.contract.states import ServiceStatus
from guestagent.system import files

if TYPE_CHECKING:
    from guestagent.backup.job import ServerFacts

DATASTORE = "hoarder"


class HoarderManager(BackedUp):
    """Has no server and is always ready; a test writes its file, which lies in the state directory."""

    def service_status(self) -> ServiceStatus:
        return ServiceStatus.HEALTHY

    @contextlib.contextmanager
    def backed_up_server(self) -> "Iterator[ServerFacts]":
        yield self._facts()

    def restored_server(self, target: Path) -> "ServerFacts":
        return self._facts()

    def tidy(self) -> None:
        super().tidy()
        files.remove_tree(self._scratch_dir)

    def draft_dir(self) -> Path:
        return self.guest.state_dir / "draft"

    @property
    def _scratch_dir(self) -> Path:
        return self.guest.state_dir / "scratch"

    def _facts(self) -> "ServerFacts":
        from guestagent.backup.job import ServerFacts

        return ServerFacts(DATASTORE, "1.0", str(self.guest.state_dir), str(self._scratch_dir))
