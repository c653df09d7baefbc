"""An agent that dies where a test wants it to, and a guest that has one."""

import signal
from pathlib import Path
from typing import Any

from guestagent.conformance import journal, killed_agent
from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.datastore import Datastore
from guestagent.conformance.guest import Guest
from guestagent.conformance.killed_agent import Script
from guestagent.conformance.messages import Bus
from guestagent.conformance.poll import eventually

PATIENCE = 60.0
"""Seconds until it is where it is to die."""


class MortalAgent(AgentProcess):
    """Does what a script says, and otherwise what an agent does; takes what :class:`AgentProcess` takes."""

    def __init__(self, *arguments: Any, **how: Any) -> None:
        super().__init__(*arguments, **how)
        self.environment |= {killed_agent.SCRIPT: str(self.directory)}
        self.script.look_for({})

    @property
    def script(self) -> Script:
        """Where it is to die."""
        return Script(self.directory)

    def command(self) -> list[str]:
        # Nothing else of the kit may be found there: an image has nothing of it.
        return [str(self.python), "-P", str(killed_agent.__file__)]

    def wait_for_death(self) -> None:
        """Wait until the script has killed it."""
        ended = self.process.wait(PATIENCE)
        assert ended == -signal.SIGKILL, f"the agent ended with {ended}:\n{self.tail()}"

    def dies(self, request_id: str) -> bool:
        """Whether the script kills it before a request is done and everybody knows of it."""
        eventually(lambda: not self.running or self.is_over(request_id), timeout=PATIENCE, message=self.tail)
        return not self.running

    def is_over(self, request_id: str) -> bool:
        """Whether the journal has the end of a request, and everybody knows of it."""
        return journal.is_told(self.state_dir, request_id)


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped, as by a debugger."""
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T"


class MortalGuest(Guest):
    """With an agent that dies at the moments of an operation, and behind whatever asks its server."""

    kind_of_agent = MortalAgent

    def __init__(self, datastore: type[Datastore], directory: Path, storage: Path, bus: Bus) -> None:
        super().__init__(datastore, directory, storage, bus)
        assert isinstance(self.agent, MortalAgent)
        self.agent: MortalAgent
        self.script = self.agent.script
        self.script.look_for(datastore.touching)
