"""Compressing and back: what comes out is what went in, or an error that says where."""

import gzip
import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from guestagent.backup import compression
from guestagent.backup.compression import GZIP, METHODS, NONE, ZSTD, BlockDamaged
from guestagent.backup.lanes import Lanes
from tests.unit.backup.streams import BACKUP, pieces, rows

CONTENT = rows(3 * compression.BLOCK + 12345)


def compress(chunks: Iterable[bytes], method: str, level: int = 1) -> bytes:
    with Lanes(2, "test") as lanes:
        return b"".join(compression.compress(chunks, method, level, lanes, 4))


def decompress(stored: bytes, method: str, size: int = 1 << 16) -> bytes:
    with Lanes(2, "test") as lanes:
        chunks = compression.decompress(pieces(stored, size), method, lanes, 4, BACKUP, lambda byte: f"byte {byte}")
        return b"".join(chunks)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "chunks",
    [[], [b"x"], [bytes(compression.BLOCK)] * 3, pieces(CONTENT, compression.BLOCK), pieces(CONTENT[:9999], 7)],
    ids=["nothing", "one byte", "zeros", "rows", "small blocks"],
)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_what_comes_out_is_what_went_in(method: str, chunks: list[bytes], size: int) -> None:
    if size == 1 and sum(map(len, chunks)) > 10_000:
        chunks = [chunk[:3000] for chunk in chunks]
    assert decompress(compress(chunks, method), method, size) == b"".join(chunks)


@pytest.mark.parametrize(("method", "levels"), [(ZSTD, [-7, -1, 1, 3, 9, 19]), (GZIP, [1, 6, 9])])
def test_every_level_can_be_read(method: str, levels: list[int]) -> None:
    sizes = []
    for level in levels:
        stored = compress([CONTENT[:200_000]], method, level)
        assert decompress(stored, method) == CONTENT[:200_000]
        sizes.append(len(stored))
    assert sizes[-1] < sizes[0]


def test_rows_become_smaller_and_noise_hardly_longer() -> None:
    noise = random.Random(1).randbytes(compression.BLOCK)
    for method in (ZSTD, GZIP):
        assert len(compress(pieces(CONTENT, compression.BLOCK), method)) < 0.75 * len(CONTENT)
        assert len(compress([noise], method)) < len(noise) + 1000


@pytest.mark.parametrize("method", [ZSTD, GZIP])
def test_other_decoders_of_the_method_read_it(method: str, tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(compress(pieces(CONTENT, compression.BLOCK), method))
    if method == GZIP:
        assert gzip.decompress(path.read_bytes()) == CONTENT
        return
    import zstandard

    with (
        path.open("rb") as stored,
        zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True) as found,
    ):
        assert found.read() == CONTENT


def test_a_stream_of_gzips_own_program_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(CONTENT)
    subprocess.run(["gzip", "-6", str(path)], check=True)
    assert decompress((tmp_path / "rows.gz").read_bytes(), GZIP) == CONTENT


@pytest.mark.parametrize("method", [ZSTD, GZIP])
def test_what_expands_beyond_measure_comes_in_pieces(method: str) -> None:
    stored = compress([bytes(compression.BLOCK)] * 200, method)
    assert len(stored) < compression.BLOCK
    with Lanes(2, "test") as lanes:
        sizes = [
            len(c) for c in compression.decompress([stored], method, lanes, 4, BACKUP, lambda byte: f"byte {byte}")
        ]
    assert sum(sizes) == 200 * compression.BLOCK
    assert max(sizes) <= 1 << 20


@pytest.mark.parametrize("method", [ZSTD, GZIP])
def test_a_stream_that_ends_too_early_is_noticed_wherever_it_does(method: str) -> None:
    content = rows(900)
    stored = compress(pieces(content, 300), method)
    whole = {0, len(stored)} | {len(compress(pieces(content[:size], 300), method)) for size in (300, 600)}
    for end in range(len(stored)):
        if end in whole:
            # A whole number of blocks: only the size and the checksum of the stream tell.
            assert content.startswith(decompress(stored[:end], method))
            continue
        with pytest.raises(BlockDamaged, match="ends within a block") as raised:
            decompress(stored[:end], method)
        assert BACKUP in str(raised.value)


@pytest.mark.parametrize("method", [ZSTD, GZIP])
def test_a_flipped_bit_never_raises_anything_else(method: str) -> None:
    content = rows(900)
    stored = compress(pieces(content, 300), method)
    noticed = 0
    for position in range(len(stored)):
        for bit in range(8):
            damaged = bytearray(stored)
            damaged[position] ^= 1 << bit
            try:
                decompress(bytes(damaged), method)
            except BlockDamaged:
                noticed += 1
    assert noticed > 0, "it is the segments' checksums that notice all"


def test_the_error_says_where() -> None:
    stored = compress(pieces(rows(900), 300), ZSTD)
    first = len(compress([rows(900)[:300]], ZSTD))
    with pytest.raises(BlockDamaged, match=f"at byte {first}: no block begins there"):
        decompress(stored[:first] + b"\0" + stored[first + 1 :], ZSTD)
    with pytest.raises(BlockDamaged, match=f"at byte {first}: zstd says"):
        decompress(stored[: first + 12] + b"\0" * 4 + stored[first + 16 :], ZSTD)


@pytest.mark.parametrize(
    "stored",
    [
        b"no compressed stream at all",
        compression.SKIPPED + (0xFFFFFFFF).to_bytes(4, "little") + bytes(100),
        compression.SKIPPED + bytes(4) + bytes(100),
        compression.SKIPPED + (4).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd",
        # A frame that claims to become 1 TiB.
        compression.SKIPPED
        + (17).to_bytes(4, "little")
        + b"\x28\xb5\x2f\xfd\xe0"
        + (1 << 40).to_bytes(8, "little")
        + bytes(4),
        # One that does not say what it becomes.
        compression.SKIPPED + (9).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00",
    ],
    ids=["text", "too long", "too short", "no header", "a bomb", "no size"],
)
def test_what_nobody_would_have_written_is_refused_before_it_costs_anything(stored: bytes) -> None:
    with pytest.raises(BlockDamaged):
        decompress(stored, ZSTD)


def test_nothing_is_done_to_a_stream_that_is_not_compressed() -> None:
    chunks = [b"one", b"two"]
    with Lanes(1, "test") as lanes:
        assert list(compression.compress(chunks, NONE, 1, lanes, 4)) == chunks
