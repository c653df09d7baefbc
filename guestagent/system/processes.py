"""Who keeps the database's process: the interface that ``plain`` and ``systemd`` fulfil."""

import abc
import enum
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from guestagent.system.command import identity

LOG_MODE = 0o640


class Service(msgspec.Struct, frozen=True):
    """A long-running process.

    :ivar name: letters, digits and dashes; unique among the agents of a machine.
    :ivar argv: the command, its first item an absolute path; never holds a secret.
    :ivar user: the account that it runs as; none: the agent's own.
    :ivar log: the file that takes its standard output and error, appended to, mode 0640.
    :ivar stop_signal: the signal that asks it to end in order.
    :ivar open_files: its limit of open files.
    :ivar core_dumps: whether a crash may leave a core file; the memory of a database holds secrets.
    """

    name: str
    argv: Sequence[str]
    log: Path
    user: str | None = None
    stop_signal: int = 15
    open_files: int = 16384
    core_dumps: bool = False


class ProcessState(enum.Enum):
    """What is known of a service's process, whether or not it answers."""

    RUNNING = "running"
    STOPPED = "stopped"
    CRASHED = "crashed"
    """It ended without having been asked to."""


class ProcessControl(abc.ABC):
    """Starts and stops one service at a time. All methods may be repeated.

    A service survives the end of the agent, and an agent that starts again finds it.
    """

    @abc.abstractmethod
    def start(self, service: Service) -> None:
        """Start the process if it is not running; returns when it exists, not when it answers.

        :raises SystemFailure: it cannot be started.
        """

    @abc.abstractmethod
    def stop(self, service: Service, timeout: float) -> None:
        """Ask the process to end and wait until it and its children are gone.

        :param timeout: seconds; a database that needs longer is not killed.
        :raises SystemFailure: it is still there after ``timeout``.
        """

    @abc.abstractmethod
    def state(self, service: Service) -> ProcessState:
        """Whether the process is there."""

    @abc.abstractmethod
    def pid(self, service: Service) -> int | None:
        """The main process's id while it is running."""


def open_log(service: Service) -> BinaryIO:
    """Open the service's log for appending, owned by the service's account when the agent is root.

    :raises OSError: its directory is missing, or it is a link, which root must not follow out of a
        directory that the service can write to.
    :raises NotFound: there is no such account.
    """
    account = identity(service.user)
    handle = os.open(service.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, LOG_MODE)
    os.fchmod(handle, LOG_MODE)
    if account:
        os.fchown(handle, account["user"], account["group"])
    return os.fdopen(handle, "ab", buffering=0)
