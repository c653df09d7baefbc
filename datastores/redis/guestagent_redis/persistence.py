"""The two forms in which a server keeps its data on disk: a dump of all of them, and a log of every change.

A server that is started with the log reads nothing else: where there is none it begins empty, whatever is in the dump.
One that is started without it reads the dump, which may be long behind. So a server is started with what is there, and
goes over to the other form while it runs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from guestagent.contract.errors import DatastoreError
from guestagent.system import files, waiting
from guestagent_redis.layout import Layout

if TYPE_CHECKING:
    from guestagent_redis.client import Client

PERIOD = 0.05
"""Seconds between two looks at how far the server is."""
SETTING = "appendonly"


def save(client: "Client") -> None:
    """Have the server save all data in its dump, as they are now, and wait until it has.

    :raises DatastoreError: it cannot, in its own words.
    """
    _wait_for_copies(client)
    while refused := client.refusal("BGSAVE"):
        if not _copies(client.info("persistence")):
            raise DatastoreError(subject="Saving the data", problem=refused.words)
        _wait_for_copies(client)
    _wait_for_copies(client)
    if client.info("persistence")["rdb_last_bgsave_status"] != "ok":
        raise DatastoreError(subject="Saving the data", problem="the server could not; the end of its log says why")


class AppendOnlyLog:
    """The log of changes of one server.

    :param note: keeps whether the server is to be started with it.
    """

    def __init__(self, client: "Client", layout: Layout, note: Callable[[bool], None]) -> None:
        self._client = client
        self._layout = layout
        self._note = note

    @property
    def exists(self) -> bool:
        """Whether there is one, and all of it."""
        return self._layout.append_manifest.exists()

    def keep(self, wanted: bool) -> None:
        """Have the running server keep the log, or do without; repeating it is safe.

        :raises DatastoreError: it cannot; it goes on as before.
        """
        if wanted:
            self._begin()
        else:
            self._end()

    def _begin(self) -> None:
        if not self._is_kept():
            self._client.set("Beginning the log of changes", {SETTING: "yes"})
        self._wait_until_whole()
        # Not before: a server that is started with a log that is not there begins empty.
        self._note(True)

    def _end(self) -> None:
        if self._is_kept():
            save(self._client)
            self._client.set("Ending the log of changes", {SETTING: "no"})
        # Before what it says is removed, for the same reason.
        self._note(False)
        files.remove_tree(self._layout.append_manifest.parent)

    def _is_kept(self) -> bool:
        return self._client.settings(SETTING)[SETTING] == "yes"

    def _wait_until_whole(self) -> None:
        """The log begins with all data, which a copy of the server writes."""
        while not self.exists:
            known = self._client.info("persistence")
            is_busy = bool(_copies(known)) or known["aof_rewrite_scheduled"] == "1"
            if not is_busy and known["aof_last_bgrewrite_status"] != "ok":
                self._client.set("Ending the log of changes", {SETTING: "no"})
                problem = "the server could not write it; the end of its log says why"
                raise DatastoreError(subject="Beginning the log of changes", problem=problem)
            waiting.pause(PERIOD)


def _wait_for_copies(client: "Client") -> None:
    while _copies(client.info("persistence")):
        waiting.pause(PERIOD)


def _copies(known: dict[str, str]) -> list[str]:
    """Which copies of itself a server has at work; it has one at a time."""
    return [name for name in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress") if known[name] == "1"]
