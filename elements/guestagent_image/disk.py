"""An image's files, to read, without changing a byte of it."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from guestagent_image.errors import NoImage, ToolFailed
from guestagent_image.tools import need, run

LINUX = frozenset({"83", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"})
"""Types of partitions with a file system of Linux: of MBR, of GPT, of GPT for a root on x86-64."""


@contextlib.contextmanager
def mounted(image: Path) -> Iterator[Path]:
    """Mount the largest file system of an image, read-only; needs root and room for the unpacked image.

    :raises NoImage: there is none.
    """
    need("qemu-img", "qemu-utils")
    need("sfdisk", "fdisk")
    with tempfile.TemporaryDirectory(prefix="guestagent-image-") as scratch:
        raw, root = Path(scratch) / "raw", Path(scratch) / "root"
        root.mkdir()
        run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)])
        # A journal that would be replayed is none of a reader's business.
        options = f"ro,noload,loop,offset={offset(raw)}"
        run(["mount", "-t", "ext4", "-o", options, str(raw), str(root)])
        try:
            yield root
        finally:
            run(["umount", str(root)])


def offset(raw: Path) -> int:
    """Where the largest partition of Linux begins, in bytes."""
    try:
        table = json.loads(run(["sfdisk", "--json", str(raw)]))["partitiontable"]
    except ToolFailed:
        raise NoImage(path=raw) from None
    found = [partition for partition in table["partitions"] if partition["type"].upper() in LINUX]
    if not found:
        raise NoImage(path=raw)
    start: int = max(found, key=lambda partition: int(partition["size"]))["start"]
    return start * int(table.get("sectorsize", 512))
