"""What the machine's memory means for a server that keeps all of its data there."""

import os
from collections.abc import Mapping

MIB = 1 << 20
LARGE_MIB = 8192
"""Data above this take minutes to save, and are saved rarely."""
OFTEN, RARELY = "3600 1 300 100 60 10000", "3600 1"
LEAST_REWRITE_MIB, MOST_REWRITE_MIB = 64, 1024


def machine_memory() -> int:
    """The machine's memory in MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB


def defaults(memory: int, share: int) -> Mapping[str, str]:
    """The settings of a server that has the machine to itself, where nobody says otherwise.

    Every write is in the append-only log within a second. That log is rewritten, and the data are saved as a whole,
    by a copy of the process, which takes the memory of what is changed meanwhile: hence the share.

    :param memory: of the machine, in MiB.
    :param share: percent of it that the data may take.
    """
    data = memory * share // 100
    return {
        "maxmemory": f"{data}mb",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-min-size": f"{min(max(data // 8, LEAST_REWRITE_MIB), MOST_REWRITE_MIB)}mb",
        "save": RARELY if data > LARGE_MIB else OFTEN,
    }
