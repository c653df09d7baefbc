"""What this machine can do for images, and what a build needs to know of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SHIMS = Path(__file__).parent / "shims"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
BUILD_PROGRAMS = ("debootstrap", "genisoimage", "ip", "qemu-img", "sfdisk")
EMULATOR = "qemu-system-x86_64"


def require(step: str, *programs: str) -> None:
    """Skip a step of the proof, by its name, where the machine cannot do it."""
    missing = [program for program in programs if not shutil.which(program)]
    if os.geteuid() != 0 or missing or not Path("/dev/loop-control").exists():
        pytest.skip(f"{step}: needs root, loop devices and {', '.join(missing or programs)} (make image-packages)")


def build_environment() -> dict[str, str]:
    """The mirrors that this machine's own apt uses, the root file system of the last build, which is brought up to
    date, and stand-ins for what its kernel has not."""
    environment = {**os.environ, "DIB_DEBOOTSTRAP_CACHE": "1", "DIB_DEBIAN_USE_DEBOOTSTRAP_CACHE": "1"}
    if found := mirrors():
        environment |= {"DIB_DISTRIBUTION_MIRROR": found[0], "DIB_DEBIAN_SECURITY_MIRROR": found[-1]}
    if not _has_device_mapper():
        environment["PATH"] = f"{SHIMS}:{environment['PATH']}"
    return environment


def mirrors() -> list[str]:
    """Those that this machine's own apt uses, that of security updates last; none: nobody knows."""
    if not SOURCES.exists():
        return []
    return [line.split()[1] for line in SOURCES.read_text().splitlines() if line.startswith("URIs:")]


def _has_device_mapper() -> bool:
    return (
        shutil.which("dmsetup") is not None
        and subprocess.run(["dmsetup", "version"], capture_output=True, check=False, timeout=60).returncode == 0
    )
