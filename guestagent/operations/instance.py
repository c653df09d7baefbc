"""The instance's record: what the agent knows about itself when it starts again."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import msgspec

from guestagent.contract.errors import SystemFailure
from guestagent.contract.states import Phase, Wanted
from guestagent.system import files


@dataclasses.dataclass(frozen=True)
class Instance:
    """A snapshot of the record.

    :ivar phase: how far the instance has come.
    :ivar wanted: whether the server is to run, also after a reboot.
    :ivar device_path: the data volume's device, if there is one.
    :ivar mount_point: where it is mounted.
    :ivar datastore_version: what prepare, rebuild or upgrade was asked for.
    :ivar read_only: ordinary users may not write.
    :ivar tls_mode: what clients must show; none: TLS is not managed.
    """

    phase: Phase = Phase.NEW
    wanted: Wanted = Wanted.STOPPED
    device_path: str | None = None
    mount_point: str | None = None
    datastore_version: str | None = None
    read_only: bool = False
    tls_mode: str | None = None


class InstanceRecord:
    """The durable record, one JSON file of mode 0600 in the state directory.

    Every change is on disk before :meth:`change` returns. Safe to use from several threads.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "instance.json"
        self._lock = threading.Lock()
        self._current = self._read()

    @property
    def current(self) -> Instance:
        """The record as it is now."""
        return self._current

    def change(self, **values: Any) -> Instance:
        """Replace the named fields and write the record.

        :raises SystemFailure: the disk refuses; the record is as it was.
        """
        with self._lock:
            changed = dataclasses.replace(self._current, **values)
            try:
                files.write(self._path, msgspec.json.format(msgspec.json.encode(changed), indent=1), mode=0o600)
            except OSError as error:
                raise SystemFailure(subject=f"Writing {self._path}", problem=error.strerror) from error
            self._current = changed
            return changed

    def _read(self) -> Instance:
        """The record on disk; fields that a newer agent wrote are ignored.

        :raises SystemFailure: it is damaged; guessing what the instance is would endanger its data.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Instance)
        except FileNotFoundError:
            return Instance()
        except (OSError, msgspec.DecodeError) as error:
            raise SystemFailure(subject=f"Reading {self._path}", problem=error) from error
