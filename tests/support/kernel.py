"""What the kernel lets this process do."""

from pathlib import Path

CAP_SYS_RESOURCE = 24


def may_grow_ext4_online() -> bool:
    """The kernel asks for a capability that root lacks in many containers."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
