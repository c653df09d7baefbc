"""Process control without a service manager: the agent starts, finds again and stops the process itself."""

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from oslo_log import log

from guestagent.contract.errors import SystemFailure
from guestagent.system import command, files, procfs
from guestagent.system.processes import ProcessControl, ProcessState, Service, open_log

LOG = log.getLogger(__name__)

UMASK = 0o027


class _Record(msgspec.Struct):
    """What is kept of a service from its start to the end of its stop.

    :ivar process: none while it is being started; an agent that dies there finds the process by its
        command line.
    :ivar stopping: it was asked to end.
    """

    process: procfs.Process | None = None
    stopping: bool = False


class PlainControl(ProcessControl):
    """Keeps services as detached processes, each with a record in a directory.

    It reports a process that ended unasked as crashed and leaves it at that: whether it is started again
    is decided where it is known what the instance should do.

    :param run_dir: holds the records; made when it is missing, and should not survive a reboot.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._lock = threading.Lock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: Service) -> None:
        with self._lock:
            record = self._read(service)
            if record is not None and _is_running(record):
                if record.stopping:
                    raise SystemFailure(
                        subject=f"Starting {service.name}", problem="it was asked to stop and has not ended yet"
                    )
                return
            if not self._run_dir.is_dir():
                # One that is there is the service manager's, or open to who may use the agent's socket.
                files.ensure_directory(self._run_dir)
            self._write(service, _Record())
            try:
                child = _spawn(service)
            except BaseException:
                self._forget(service)
                raise
            self._children[service.name] = child
            self._write(service, _Record(procfs.look_up(child.pid)))
            LOG.info("%s runs with process id %d", service.name, child.pid)

    def stop(self, service: Service, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        with self._lock:
            record = self._read(service)
            if record is None or record.process is None:
                return
            self._write(service, _Record(record.process, stopping=True))
        left = procfs.family(record.process)
        for process in [record.process] if record.process in left else left:
            procfs.send_signal(process, service.stop_signal)
        while left:
            if not procfs.wait(left, deadline - time.monotonic()):
                raise SystemFailure(
                    subject=f"Stopping {service.name}",
                    problem=f"process {record.process.pid} is still there after {timeout:g} s; it was not killed",
                )
            left = procfs.family(record.process)
        with self._lock:
            self._forget(service)
        LOG.info("%s has ended", service.name)

    def state(self, service: Service) -> ProcessState:
        with self._lock:
            record = self._read(service)
            if record is None:
                return ProcessState.STOPPED
            if _is_running(record):
                return ProcessState.RUNNING
            return ProcessState.STOPPED if record.stopping else ProcessState.CRASHED

    def pid(self, service: Service) -> int | None:
        with self._lock:
            record = self._read(service)
            return record.process.pid if record and record.process and record.process.is_running() else None

    def _read(self, service: Service) -> _Record | None:
        self._reap(service)
        try:
            record = msgspec.json.decode(self._path(service).read_bytes(), type=_Record)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise SystemFailure(
                subject=f"Reading {self._path(service)}",
                problem=f"it is damaged; stop {service.name} by hand if it runs, then remove the file",
            ) from None
        return self._resolve(service) if record.process is None else record

    def _resolve(self, service: Service) -> _Record | None:
        """Find out how far a start came that the agent did not live to the end of."""
        found = next(_started_with(service), None)
        if found is None:
            self._forget(service)
            return None
        LOG.warning("%s was started by an agent that ended there; process id %d", service.name, found.pid)
        record = _Record(found)
        self._write(service, record)
        return record

    def _reap(self, service: Service) -> None:
        """Take note of the end of a child, which is a zombie until somebody does."""
        child = self._children.get(service.name)
        if child is not None and child.poll() is not None:
            LOG.info("Process %d of %s has ended with code %d", child.pid, service.name, child.returncode)
            del self._children[service.name]

    def _write(self, service: Service, record: _Record) -> None:
        files.write(self._path(service), msgspec.json.encode(record))

    def _forget(self, service: Service) -> None:
        self._reap(service)
        self._path(service).unlink(missing_ok=True)

    def _path(self, service: Service) -> Path:
        return self._run_dir / f"{service.name}.json"


def _is_running(record: _Record) -> bool:
    return record.process is not None and record.process.is_running()


def _started_with(service: Service) -> Iterator[procfs.Process]:
    """The leaders of sessions whose command line ends with the service's, as the limits come before it."""
    argv = list(service.argv)
    for process in procfs.running():
        if process.session == process.pid and procfs.command_line(process)[-len(argv) :] == argv:
            yield process


def _spawn(service: Service) -> "subprocess.Popen[bytes]":
    program = service.argv[0]
    subject = f"Starting {service.name}"
    if not os.access(program, os.X_OK):
        raise SystemFailure(subject=subject, problem=f"there is no program {program}")
    try:
        with open_log(service) as stream:
            return subprocess.Popen(
                [*_limits(service), *service.argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=command.ENVIRONMENT,
                umask=UMASK,
                start_new_session=True,
                **command.identity(service.user),
            )
    except OSError as error:
        raise SystemFailure(subject=subject, problem=str(error)) from None


def _limits(service: Service) -> list[str]:
    """What sets the limits and becomes the service: in a process with threads, code between fork and exec may hang."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if service.open_files > hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, service.open_files))
            hard = service.open_files
    open_files = min(service.open_files, hard)
    if open_files < service.open_files:
        LOG.warning("%s gets %d open files, not the %d it wants", service.name, open_files, service.open_files)
    core = resource.getrlimit(resource.RLIMIT_CORE)[1] if service.core_dumps else 0
    core_limit = "unlimited" if core == resource.RLIM_INFINITY else str(core)
    return ["prlimit", f"--nofile={open_files}:{open_files}", f"--core={core_limit}:{core_limit}", "--"]
