"""What can be measured of the machine and of the agent's own process."""

import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

SECTOR = 512
"""Bytes of a sector in /sys, whatever the disk's own are; see Documentation/ABI/stable/sysfs-block of Linux."""
KIB = 1024


def hardware() -> dict[str, Any]:
    """Processors, memory and disks; sizes in bytes.

    :returns: ``num_cpus`` and ``mem_total``, as Trove's management API shows them, ``mem_available``,
        ``swap_total``, and ``disks``: a list of ``name``, ``size`` and ``read_only``.
    """
    memory = psutil.virtual_memory()
    return {
        "num_cpus": psutil.cpu_count() or 1,
        "mem_total": memory.total,
        "mem_available": memory.available,
        "swap_total": psutil.swap_memory().total,
        "disks": _disks(Path("/sys/block")),
    }


def agent_process() -> dict[str, Any]:
    """The agent's own process; memory in bytes, times in seconds.

    :returns: ``version``, ``threads``, ``fd_size``, ``vm_size``, ``vm_peak``, ``vm_rss`` and ``vm_hwm``, as
        Trove's management API shows them, ``open_files``, ``cpu_seconds`` and ``uptime``.
    """
    process = psutil.Process()
    status = _status(Path("/proc/self/status"))
    with process.oneshot():
        times = process.cpu_times()
        return {
            "version": metadata.version("guestagent"),
            "threads": process.num_threads(),
            "fd_size": status["FDSize"],
            "vm_size": status["VmSize"] * KIB,
            "vm_peak": status["VmPeak"] * KIB,
            "vm_rss": status["VmRSS"] * KIB,
            "vm_hwm": status["VmHWM"] * KIB,
            "open_files": process.num_fds(),
            "cpu_seconds": round(times.user + times.system, 3),
            "uptime": round(time.time() - process.create_time(), 3),
        }


def _disks(directory: Path) -> list[dict[str, Any]]:
    """Every block device with a size: an unused loop device has none."""
    found = []
    for entry in sorted(directory.iterdir()):
        size = int((entry / "size").read_text()) * SECTOR
        if size:
            found.append({"name": entry.name, "size": size, "read_only": (entry / "ro").read_text().strip() == "1"})
    return found


def _status(path: Path) -> dict[str, int]:
    """The numbers of proc(5)'s status file; its memory sizes are in KiB."""
    fields = (line.partition(":") for line in path.read_text().splitlines())
    values = {name: value.split() for name, _, value in fields}
    return {name: int(words[0]) for name, words in values.items() if words and words[0].isdecimal()}
