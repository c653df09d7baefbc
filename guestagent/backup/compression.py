"""Compressing the stream and back: in blocks of their own, so that several threads can, in both directions.

``zstd`` is written as pzstd does: each block is a frame, and before it a frame that decoders skip says how long it
is. ``gzip`` is a member for each block. So ``zstd -d`` and ``gzip -d`` read what is written here; from ``zstd`` only
what says the length of its frames is read back, from ``gzip`` everything.
"""

import threading
import types
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from guestagent.backup.feed import Feed
from guestagent.backup.lanes import Lanes
from guestagent.contract.errors import GuestAgentError, SystemFailure

ZSTD, GZIP, NONE = "zstd", "gzip", "none"
METHODS: Final = (ZSTD, GZIP, NONE)
BLOCK: Final = 1 << 19
"""Bytes of a block before it is compressed."""
LARGEST_BLOCK: Final = 1 << 24
"""Bytes of a block that is decompressed at most; what claims more is damaged and would cost memory."""
AHEAD: Final = 6
"""Blocks more than threads that are held, so that no thread waits for one while whoever makes them waits."""
NICE: Final = 5
"""So much nicer than others are the threads: whoever makes the blocks, and the database, go first."""
SKIPPED: Final = b"\x50\x2a\x4d\x18\x04\x00\x00\x00"
"""How the frame begins that decoders skip; four bytes follow, the length of the next one, the lowest byte first."""
HEADER_BYTES: Final = 12
_GZIP: Final = 31
"""What zlib calls its format with gzip's header."""

Block = bytes | bytearray
"""What is compressed by itself."""
Where = Callable[[int], str]
"""Says in words where a byte of a stage's input is."""


class BlockDamaged(GuestAgentError):
    """A block of the compressed stream is not what the compressor made."""

    id = "backup.block-damaged"
    sentence = "Backup '{backup}' cannot be decompressed at {where}: {problem}; restore from another backup."


def compress(chunks: Iterable[Block], method: str, level: int, lanes: Lanes, ahead: int) -> Iterator[bytes]:
    """The stream, smaller.

    :param chunks: each becomes a block; best of :data:`BLOCK` bytes each.
    :param lanes: that do the work.
    :param ahead: blocks that are held in memory at most: a chunk is done with when so many others were asked for.
    """
    if method == NONE:
        yield from map(bytes, chunks)
        return
    pack = _zstd_packer(level) if method == ZSTD else _gzip_packer(level)
    for header, block in lanes.ordered(pack, chunks, ahead):
        if header:
            yield header
        yield block
        del block


def decompress(
    chunks: Iterable[bytes], method: str, lanes: Lanes, ahead: int, backup: str, where: Where
) -> Iterator[bytes]:
    """The stream as it was.

    :param where: for the sentences of errors.
    :raises BlockDamaged: it is no stream of this method, is damaged or ends too early.
    """
    if method == NONE:
        yield from chunks
    elif method == ZSTD:
        blocks = _zstd_blocks(chunks, backup, where)
        yield from lanes.ordered(_zstd_unpacker(backup, where), blocks, ahead)
    else:
        yield from _gunzip(chunks, backup, where)


def _library() -> types.ModuleType:
    """``zstandard``, which an image without backup strategies does not hold.

    :raises SystemFailure: it is not there.
    """
    try:
        import zstandard
    except ModuleNotFoundError:
        problem = "the package zstandard is not installed; install guestagent[backup]"
        raise SystemFailure(subject="Loading zstd", problem=problem) from None
    return zstandard


def _zstd_packer(level: int) -> Callable[[Block], tuple[bytes, bytes]]:
    zstandard = _library()
    how = zstandard.ZstdCompressionParameters.from_level(level, source_size=BLOCK)
    mine = threading.local()

    def pack(block: Block) -> tuple[bytes, bytes]:
        compressor: Any = getattr(mine, "compressor", None)
        if compressor is None:
            compressor = mine.compressor = zstandard.ZstdCompressor(compression_params=how)
        frame = compressor.compress(block)
        return SKIPPED + len(frame).to_bytes(4, "little"), frame

    return pack


def _gzip_packer(level: int) -> Callable[[Block], tuple[bytes, bytes]]:
    def pack(block: Block) -> tuple[bytes, bytes]:
        return b"", zlib.compress(block, level, _GZIP)

    return pack


def _zstd_blocks(chunks: Iterable[bytes], backup: str, where: Where) -> Iterator[tuple[int, bytes]]:
    """The frames, each with its offset."""
    feed = Feed(chunks)
    while not feed.ended:
        offset = feed.offset
        header = feed.take(HEADER_BYTES)
        if not header.startswith(SKIPPED[: len(header)]):
            raise BlockDamaged(backup=backup, where=where(offset), problem="no block begins there")
        size = int.from_bytes(header[len(SKIPPED) :], "little")
        # What does not get smaller gets a little longer.
        if len(header) == HEADER_BYTES and not 0 < size <= LARGEST_BLOCK + (LARGEST_BLOCK >> 7):
            raise BlockDamaged(backup=backup, where=where(offset), problem=f"no block has {size} bytes")
        frame = feed.take(size)
        if len(header) < HEADER_BYTES or len(frame) < size:
            raise BlockDamaged(backup=backup, where=where(feed.offset), problem="it ends within a block")
        yield offset, frame


def _zstd_unpacker(backup: str, where: Where) -> Callable[[tuple[int, bytes]], bytes]:
    zstandard = _library()
    mine = threading.local()

    def unpack(item: tuple[int, bytes]) -> bytes:
        offset, frame = item
        decompressor: Any = getattr(mine, "decompressor", None)
        if decompressor is None:
            decompressor = mine.decompressor = zstandard.ZstdDecompressor()
        try:
            if not 0 < zstandard.frame_content_size(frame) <= LARGEST_BLOCK:
                raise BlockDamaged(backup=backup, where=where(offset), problem="the block does not say how long it is")
            return bytes(decompressor.decompress(frame, allow_extra_data=False))
        except zstandard.ZstdError as error:
            raise BlockDamaged(backup=backup, where=where(offset), problem=f"zstd says '{error}'") from None

    return unpack


def _gunzip(chunks: Iterable[bytes], backup: str, where: Where) -> Iterator[bytes]:
    member = None
    offset = 0
    for chunk in chunks:
        rest = chunk
        while rest:
            member = member or zlib.decompressobj(_GZIP)
            try:
                found = member.decompress(rest, BLOCK)
            except zlib.error as error:
                raise BlockDamaged(backup=backup, where=where(offset), problem=f"zlib says '{error}'") from None
            if found:
                yield found
            if member.eof:
                rest = member.unused_data
                member = None
            else:
                rest = member.unconsumed_tail
        offset += len(chunk)
    while member is not None and (found := member.decompress(b"", BLOCK)):
        yield found
    if member is not None:
        raise BlockDamaged(backup=backup, where=where(offset), problem="it ends within a block")
