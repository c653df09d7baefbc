"""A test's hand on the sleeper: a datastore without a database."""

from pathlib import Path

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.poll import eventually

DATASTORE = "sleeper"
"""The name under which ``tests/support/datastore_sleeper`` is installed."""


class Sleeper:
    """Holds calls of an agent whose datastore is the sleeper, and counts them.

    It works whether or not the agent runs.
    """

    def __init__(self, agent: AgentProcess) -> None:
        self._directory = agent.state_dir
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def hold(self, call: str) -> None:
        """From now on the call waits after it began."""
        self._file(f"hold.{call}").touch()

    def release(self, call: str) -> None:
        """Let the calls that wait go on, and new ones not wait."""
        self._file(f"hold.{call}").unlink()

    def began(self, call: str) -> list[str]:
        """The names of the threads that ever began the call, in order."""
        return self._lines(f"began.{call}")

    def wait_until_began(self, call: str, times: int = 1, timeout: float = 60.0) -> None:
        """Wait until the call has begun so many times since the guest exists."""
        eventually(
            lambda: len(self.began(call)) >= times,
            timeout=timeout,
            message=lambda: f"{call} began {len(self.began(call))} times instead of {times}",
        )

    def databases(self) -> list[str]:
        """The databases that were created, in order, each as often as it was created."""
        return self._lines("databases")

    def wait_until_created(self, *databases: str) -> None:
        """Wait until these have been created, and no others; a call that has begun has not done anything yet."""
        eventually(lambda: self.databases() == list(databases), message=lambda: f"there are only {self.databases()}")

    def undone(self) -> list[str]:
        """The steps that were undone, in order."""
        return self._lines("undone")

    def set_status(self, status: str) -> None:
        """What the next heartbeats say."""
        unfinished = self._file("status.unfinished")
        unfinished.write_text(status)
        unfinished.rename(self._file("status"))

    def _lines(self, name: str) -> list[str]:
        try:
            return self._file(name).read_text().splitlines()
        except FileNotFoundError:
            return []

    def _file(self, name: str) -> Path:
        return self._directory / name
