"""Directories for servers under accounts of their own."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOMY = 4 << 30


@contextlib.contextmanager
def reachable_directory() -> Iterator[Path]:
    """An empty directory with a short name that every account can reach, unlike those of pytest.

    It is in memory where there is room: a server waits for its disk many times while it is made.
    """
    memory = Path("/dev/shm")
    in_memory = memory.is_dir() and shutil.disk_usage(memory).free > ROOMY
    directory = Path(tempfile.mkdtemp(prefix="gam-", dir=memory if in_memory else None))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
