"""From the stream of a backup back to its files."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from guestagent.contract.errors import SystemFailure
from guestagent.system.stream import Consumer
from guestagent_mariabackup import positions
from guestagent_mariabackup.errors import StreamInvalid
from guestagent_mariabackup.syncing import Syncing

MAGIC = b"XBSTCK01"
"""How every piece of such a stream begins."""

_CUT_OFF = re.compile(r"my_read\(\) failed|unexpected end of stream")


def unpack(chunks: Iterable[bytes], program: Consumer, directory: Path, number: int, disk: Syncing) -> None:
    """Write the files of a stream.

    :param program: unpacks what it is fed into the directory.
    :param number: of the backup in its chain.
    :param disk: that the directory is on.
    :raises StreamInvalid: it is no such stream, damaged, or ends too early; files are left behind.
    """
    try:
        for chunk in _recognised(chunks, number):
            program.write(chunk)
            disk.count(len(chunk))
        program.finish()
    except SystemFailure as error:
        if error.facts["subject"] != program.program:
            raise
        said = str(error.facts["problem"])
        problem = "its stream ends too early" if _CUT_OFF.search(said) else f"unpacking its stream failed: {said}"
        raise StreamInvalid(number=number, problem=problem) from error
    # A stream that ends between two of its pieces looks whole; these two are its last files.
    if any(positions.find(directory, name) is None for name in (positions.CHECKPOINTS, positions.INFO)):
        raise StreamInvalid(number=number, problem="its stream ends too early")


def _recognised(chunks: Iterable[bytes], number: int) -> Iterator[bytes]:
    begun = b""
    for chunk in chunks:
        if len(begun) >= len(MAGIC):
            yield chunk
            continue
        begun += chunk
        if len(begun) >= len(MAGIC):
            if not begun.startswith(MAGIC):
                break
            yield begun
    if not begun:
        raise StreamInvalid(number=number, problem="its stream is empty")
    if not begun.startswith(MAGIC):
        raise StreamInvalid(number=number, problem="its stream is none of mariadb-backup")
