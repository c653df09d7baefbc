"""The instance's record: what the agent knows about itself when it starts again."""

import threading
from typing import Any

import msgspec

from guestagent.contract.errors import SystemFailure
from guestagent.contract.operations import CodePath
from guestagent.contract.states import Phase, Role, Wanted
from guestagent.operations.store import Store


class Instance(msgspec.Struct, frozen=True):
    """A snapshot of the record.

    :ivar phase: how far the instance has come.
    :ivar wanted: whether the server is to run, also after a reboot.
    :ivar role: what it is to others of its kind.
    :ivar code_path: how its operations are carried out; none: nothing has prepared it yet.
    :ivar plugin: the distribution of the datastore that prepared it last, and its version.
    :ivar device_path: the data volume's device, if there is one.
    :ivar mount_point: where it is mounted.
    :ivar datastore_version: what prepare, rebuild or upgrade was asked for.
    :ivar read_only: ordinary users may not write.
    :ivar tls_mode: what clients must show; none: TLS is not managed.
    """

    phase: Phase = Phase.NEW
    wanted: Wanted = Wanted.STOPPED
    role: Role = Role.STANDALONE
    code_path: CodePath | None = None
    plugin: str | None = None
    device_path: str | None = None
    mount_point: str | None = None
    datastore_version: str | None = None
    read_only: bool = False
    tls_mode: str | None = None


class InstanceRecord:
    """The durable record, one row of the journal's file.

    Every change is on disk before :meth:`change` returns. Safe to use from several threads.

    :raises SystemFailure: it cannot be understood; guessing what the instance is would endanger its data.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
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
            changed = msgspec.structs.replace(self._current, **values)
            if changed != self._current:
                text = msgspec.json.encode(changed).decode()
                with self._store.change() as connection:
                    connection.execute("INSERT OR REPLACE INTO instance (only, record) VALUES (1, ?)", (text,))
                self._current = changed
            return changed

    def _read(self) -> Instance:
        """The record on disk; fields that a newer agent wrote are ignored."""
        rows = self._store.fetch("SELECT record FROM instance")
        try:
            return msgspec.json.decode(rows[0]["record"], type=Instance) if rows else Instance()
        except msgspec.DecodeError as error:
            raise SystemFailure(
                subject=f"Reading the instance's record in {self._store.path}", problem=error
            ) from error
