"""A machine with a systemd of its own under systemd-nspawn, on files whose changes are thrown away."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import apart

REPOSITORY = Path(__file__).parents[2]
INSIDE = "TEST_CONTAINER"
"""The variable of the environment that says so."""
BOOT_SECONDS = 60
READY = "READY=1"
"""The system is up."""
BEGUN = "X_NSPAWN_LEADER_PID="
"""Its first process is there."""
ONE_HIERARCHY = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
"""Of control groups: what guests have, and newer systemds insist on, whatever this machine has."""
GROUPS = Path("/sys/fs/cgroup")
KERNEL_SETTINGS = "systemd-sysctl.service"
"""A unit that sets what belongs to the kernel, which the container shares."""


class Container:
    """A booted container.

    :param leader: the process id of its first process.
    """

    def __init__(self, leader: int) -> None:
        self._enter = ["nsenter", "--target", str(leader), "--mount", "--uts", "--ipc", "--net", "--pid"]

    def run(
        self, argv: Sequence[str], *, directory: Path = REPOSITORY, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1", INSIDE: "1"}
        return subprocess.run(
            [*self._enter, "--", "env", f"--chdir={directory}", *argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@contextlib.contextmanager
def copy_of_this_machine(scratch: Path) -> Iterator[Container]:
    """Boot this machine's own file system to basic.target, and take everything away afterwards.

    :param scratch: an empty directory.
    """
    # The interpreter and the project may lie on file systems that the overlay does not show.
    seen = {Path(sys.prefix), Path(sys.base_prefix), REPOSITORY}
    arguments = [
        "--private-network",
        *(f"--bind-ro={path}" for path in sorted(seen)),
        *("systemd.unit=basic.target", f"systemd.mask={KERNEL_SETTINGS}", "fstab=no"),
    ]
    with changed(Path("/"), scratch) as root, booted(root, arguments, scratch / "console") as container:
        yield container


@contextlib.contextmanager
def booted(root: Path, arguments: Sequence[str], console: Path, *, until: str = READY) -> Iterator[Container]:
    """Boot a file system, and end all that runs in it afterwards.

    :param root: its files, which may be written to.
    :param arguments: more of systemd-nspawn's, options before words for the kernel's command line.
    :param console: a file that gets what the machine says.
    :param until: what of its notifications is waited for.
    """
    name = f"test-{uuid.uuid4().hex[:8]}"
    with _control_group(name) as group, _notifications(name) as notifications:
        argv = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={root}",
            f"--machine={name}",
            *("--register=no", "--keep-unit", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", "--console=pipe", "--notify-ready=yes"),
            *arguments,
        ]
        environment = {**os.environ, **ONE_HIERARCHY, "NOTIFY_SOCKET": f"@{name}"}
        with console.open("wb") as said:
            nspawn = subprocess.Popen(
                apart.command(group, root, argv),
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        leader: int | None = None
        try:
            try:
                leader = _leader(notifications, until)
            except TimeoutError:
                raise AssertionError(console.read_text(errors="replace")) from None
            yield Container(leader)
        finally:
            _end(nspawn, leader)


@contextlib.contextmanager
def changed(lower: Path, scratch: Path) -> Iterator[Path]:
    """A directory's files, with the changes in memory.

    :param scratch: an empty directory.
    """
    memory = scratch / "memory"
    memory.mkdir()
    _tool("mount", "-t", "tmpfs", "tmpfs", str(memory))
    try:
        for name in ("upper", "work", "root"):
            (memory / name).mkdir()
        root = memory / "root"
        layers = f"lowerdir={lower},upperdir={memory}/upper,workdir={memory}/work"
        _tool("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
        try:
            yield root
        finally:
            _tool("umount", str(root))
    finally:
        _tool("umount", str(memory))


@contextlib.contextmanager
def _notifications(name: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(BOOT_SECONDS)
        yield listener


def _leader(notifications: socket.socket, until: str) -> int:
    """Wait until the system is that far; see sd_notify(3) and systemd-nspawn(1), --notify-ready."""
    leader = 0
    while True:
        for line in notifications.recv(4096).decode().splitlines():
            name, _, value = line.partition("=")
            if name == "X_NSPAWN_LEADER_PID":
                leader = int(value)
            if line.startswith(until):
                return leader


def _end(nspawn: "subprocess.Popen[bytes]", leader: int | None) -> None:
    nspawn.send_signal(signal.SIGTERM)
    try:
        nspawn.wait(60)
    except subprocess.TimeoutExpired:
        if leader:
            os.kill(leader, signal.SIGKILL)
        nspawn.kill()
        nspawn.wait(60)


@contextlib.contextmanager
def _control_group(name: str) -> Iterator[Path]:
    """A group of the container's own: where no systemd runs the machine, all containers would share one, and each
    container's systemd takes its own for its alone."""
    [own] = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    unified = GROUPS / "unified"
    group = (unified if unified.exists() else GROUPS) / own.strip("/") / name
    group.mkdir()
    try:
        yield group
    finally:
        # nspawn leaves its empty ones behind, in each hierarchy.
        for directory, _, _ in os.walk(GROUPS, topdown=False):  # others' come and go meanwhile
            if name in Path(directory).parts:
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()


def _tool(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
