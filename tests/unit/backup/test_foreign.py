"""What Trove's own agent left in stores: what the names say, what comes out, and what is refused."""

import gzip
import hashlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.backup import foreign, tasks
from guestagent.backup.base import BaseBackupStrategy, Stage
from guestagent.backup.catalog import NoBackup, ParentGone
from guestagent.backup.compression import BlockDamaged
from guestagent.backup.foreign import ChainUnknown, ChecksumDiffers, Foreign, Form, NoReader
from guestagent.backup.job import Place, Restore, ServerFacts
from guestagent.backup.progress import Meter, silent
from guestagent.backup.reader import StreamDamaged
from guestagent.backup.salted import PasswordMissing, SaltedDamaged, WrongPassword
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError
from guestagent.storage.local import LocalStorage
from tests.unit.backup.streams import CONTAINER, CONTEXT

BACKUP = "0d5a1f43-9f0a-4d2c-8a51-1c6f5f6b5d0e"
PASSWORD = "kept for years & years"
CONTENT = b"XBSTCK01" + random.Random(3).randbytes(300_000) + bytes(300_000)
PLACE = f"local://{CONTAINER}/"

PBKDF2 = ("-md", "sha512", "-pbkdf2", "-iter", "10000")
"""How Trove called ``openssl enc`` last."""
BEFORE = ((), ("-md", "sha256"), ("-md", "md5"))
"""And before that, with the default of the OpenSSL of its day: of the one here, since 1.1.0, until then."""


class Described(LocalStorage):
    """A store with metadata, as Swift is."""

    kept: dict[str, dict[str, str]] = {}

    def metadata(self, context: RequestContext, container: str, name: str) -> Mapping[str, str]:
        self.size(context, container, name)
        return self.kept.get(name, {})


@pytest.fixture
def conf(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    conf.set_override("trove_aes_cbc_key", PASSWORD, "backup")
    conf.set_override("retries", 0, "backup")
    conf.set_override("retry_patience", 0, "backup")
    return conf


@pytest.fixture
def storage(conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch) -> Described:
    monkeypatch.setattr(Described, "kept", {})
    return Described(conf)


def encrypted(content: bytes, *how: str, password: str = PASSWORD) -> bytes:
    argv = ["openssl", "enc", "-aes-256-cbc", *how, "-salt", "-pass", f"pass:{password}"]
    return subprocess.run(argv, input=content, capture_output=True, check=True).stdout


def gzipped(content: bytes) -> bytes:
    return subprocess.run(["gzip"], input=content, capture_output=True, check=True).stdout


def keep(storage: LocalStorage, name: str, content: bytes) -> str:
    """Put an object where Trove would; its location."""
    storage.put(CONTEXT, CONTAINER, name, [content])
    return PLACE + name


def chain(storage: LocalStorage, location: str, checksum: str | None = None) -> list[Foreign]:
    return foreign.chain(storage, CONTEXT, location, checksum)


def read(
    storage: LocalStorage, conf: cfg.ConfigOpts, location: str, checksum: str | None = None, told: Meter | None = None
) -> bytes:
    meter = told or Meter(silent, None)
    [stage] = foreign.stages(chain(storage, location, checksum), storage, CONTEXT, conf, meter)
    assert stage.positions == {}
    assert not stage.incremental
    return b"".join(stage.chunks)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (f"{BACKUP}.xbstream.gz", Form(BACKUP, "xbstream", gzipped=True, encrypted=False)),
        (f"{BACKUP}.xbstream.gz.enc", Form(BACKUP, "xbstream", gzipped=True, encrypted=True)),
        (f"{BACKUP}.xbstream.enc", Form(BACKUP, "xbstream", gzipped=False, encrypted=True)),
        (f"{BACKUP}.xbstream", Form(BACKUP, "xbstream", gzipped=False, encrypted=False)),
        (f"{BACKUP}.tar.gz", Form(BACKUP, "tar", gzipped=True, encrypted=False)),
        (f"{BACKUP}.backup", None),
        (BACKUP, None),
        (f"{BACKUP}/manifest.json", None),
        (f"{BACKUP}.xbstream.enc.gz", None),
        (f"{BACKUP}.xbstream.gz\n", None),
        (f"elsewhere/{BACKUP}.xbstream.gz", None),
    ],
)
def test_a_name_says_how_a_backup_was_kept(name: str, form: Form | None) -> None:
    assert foreign.recognise(name) == form


def test_a_backup_is_decompressed(storage: Described, conf: cfg.ConfigOpts) -> None:
    assert read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz", gzipped(CONTENT))) == CONTENT
    assert read(storage, conf, keep(storage, f"{BACKUP}.xbstream", CONTENT)) == CONTENT


@pytest.mark.parametrize("how", [PBKDF2, *BEFORE])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 100_000])
def test_every_form_of_encryption_that_trove_used_is_decrypted(
    storage: Described, conf: cfg.ConfigOpts, how: tuple[str, ...], size: int
) -> None:
    content = CONTENT[: 8 + size]
    assert read(storage, conf, keep(storage, f"{BACKUP}.xbstream.enc", encrypted(content, *how))) == content
    stored = encrypted(gzipped(content), *how)
    assert read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz.enc", stored)) == content


@pytest.mark.parametrize("how", [PBKDF2, *BEFORE])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_wrong_password_is_told_from_damage(
    storage: Described, conf: cfg.ConfigOpts, how: tuple[str, ...], zipped: bool
) -> None:
    stored = encrypted(gzipped(CONTENT) if zipped else CONTENT, *how, password="another one")
    location = keep(storage, f"{BACKUP}.xbstream{'.gz' if zipped else ''}.enc", stored)
    with pytest.raises(WrongPassword, match="trove_aes_cbc_key") as raised:
        read(storage, conf, location)
    assert PASSWORD not in str(raised.value)


def test_a_missing_password_is_noticed_before_anything_is_read(storage: Described, conf: cfg.ConfigOpts) -> None:
    conf.clear_override("trove_aes_cbc_key", "backup")
    found = chain(storage, keep(storage, f"{BACKUP}.xbstream.enc", encrypted(CONTENT)))
    with pytest.raises(PasswordMissing, match="trove_aes_cbc_key"):
        foreign.stages(found, storage, CONTEXT, conf, Meter(silent, None))


@pytest.mark.parametrize("left", [0, 5, 8, 16, 20, 31, 40, 1000, -16, -1])
def test_a_truncated_backup_that_is_encrypted_is_refused(storage: Described, conf: cfg.ConfigOpts, left: int) -> None:
    stored = encrypted(gzipped(CONTENT), *PBKDF2)[:left]
    with pytest.raises((SaltedDamaged, BlockDamaged), match=f"'{BACKUP}' cannot be dec"):
        read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz.enc", stored))


@pytest.mark.parametrize("left", [1, 5, 1000, -8, -1])
def test_a_truncated_backup_that_is_compressed_is_refused(storage: Described, conf: cfg.ConfigOpts, left: int) -> None:
    with pytest.raises(BlockDamaged, match="ends within a block"):
        read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz", gzipped(CONTENT)[:left]))


def test_what_is_encrypted_by_its_name_alone_is_refused(storage: Described, conf: cfg.ConfigOpts) -> None:
    with pytest.raises(SaltedDamaged, match="openssl did not write"):
        read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz.enc", gzipped(CONTENT)))


def test_a_store_that_gives_less_than_it_says_is_noticed(
    storage: Described, conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = keep(storage, f"{BACKUP}.xbstream", CONTENT)
    monkeypatch.setattr(storage, "size", lambda *_: len(CONTENT) + 1)
    with pytest.raises(StreamDamaged, match=f"{len(CONTENT)} of its {len(CONTENT) + 1} bytes"):
        read(storage, conf, location)


def segmented(content: bytes, size: int) -> str:
    """The checksum of an object of segments, as Trove computes it and Swift answers it."""
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return hashlib.md5("".join(hashlib.md5(part).hexdigest() for part in parts).encode()).hexdigest()


@pytest.mark.parametrize("segment", [1 << 31, 100_000, len(CONTENT), len(CONTENT) // 4, len(CONTENT) - 1, 4096])
def test_the_checksum_of_one_object_or_of_its_segments_is_verified(
    storage: Described, conf: cfg.ConfigOpts, segment: int
) -> None:
    conf.set_override("trove_segment_size", segment, "backup")
    location = keep(storage, f"{BACKUP}.xbstream", CONTENT)
    for checksum in (hashlib.md5(CONTENT).hexdigest(), segmented(CONTENT, segment)):
        assert read(storage, conf, location, checksum) == CONTENT
        assert read(storage, conf, location, f'"{checksum.upper()}"') == CONTENT
    for checksum in (hashlib.md5(CONTENT[:-1]).hexdigest(), segmented(CONTENT, 77_777), "", "none"):
        with pytest.raises(ChecksumDiffers, match=BACKUP):
            read(storage, conf, location, checksum)


def test_a_changed_byte_is_noticed_by_the_checksum_alone(storage: Described, conf: cfg.ConfigOpts) -> None:
    stored = bytearray(encrypted(CONTENT, *PBKDF2))
    checksum = hashlib.md5(stored).hexdigest()
    stored[100_000] ^= 1
    location = keep(storage, f"{BACKUP}.xbstream.enc", bytes(stored))
    # Nothing authenticates what openssl encrypts.
    assert len(read(storage, conf, location)) == len(CONTENT)
    with pytest.raises(ChecksumDiffers):
        read(storage, conf, location, checksum)


def test_progress_is_that_of_what_is_stored(storage: Described, conf: cfg.ConfigOpts) -> None:
    stored = gzipped(CONTENT * 10)
    told: list[tuple[int, int | None]] = []
    meter = Meter(lambda done, total: told.append((done, total)), len(stored))
    read(storage, conf, keep(storage, f"{BACKUP}.xbstream.gz", stored), told=meter)
    assert len(told) > 1
    assert told[-1] == (len(stored), len(stored))


def test_a_chain_is_followed_through_the_metadata_with_each_ones_checksum(storage: Described) -> None:
    full, middle, last = (keep(storage, f"{name}.xbstream.gz", gzipped(name.encode())) for name in ("f", "m", "l"))
    storage.kept["m.xbstream.gz"] = {"lsn": "17", foreign.PARENT: full, foreign.PARENT_CHECKSUM: "of f"}
    storage.kept["l.xbstream.gz"] = {"lsn": "18", foreign.PARENT: middle, foreign.PARENT_CHECKSUM: "of m"}
    found = chain(storage, last, "of l")
    assert [(one.form.id, one.checksum) for one in found] == [("f", "of f"), ("m", "of m"), ("l", "of l")]


def test_the_stages_of_a_chain_are_in_their_order(storage: Described, conf: cfg.ConfigOpts) -> None:
    full = keep(storage, "f.xbstream.gz", gzipped(b"full"))
    storage.kept["l.xbstream.gz"] = {foreign.PARENT: full}
    found = chain(storage, keep(storage, "l.xbstream.gz", gzipped(b"last")))
    stages = foreign.stages(found, storage, CONTEXT, conf, Meter(silent, None))
    assert [(b"".join(stage.chunks), stage.incremental) for stage in stages] == [(b"full", False), (b"last", True)]


@pytest.mark.parametrize("parent", ["gone.xbstream.gz", f"{BACKUP}.xbstream.gz", "kept.tar.gz", "kept.backup"])
def test_a_parent_that_cannot_be_one_is_named(storage: Described, parent: str) -> None:
    location = keep(storage, f"{BACKUP}.xbstream.gz", b"")
    for name in ("kept.tar.gz", "kept.backup"):
        keep(storage, name, b"")
    storage.kept[f"{BACKUP}.xbstream.gz"] = {foreign.PARENT: PLACE + parent}
    with pytest.raises(ParentGone, match=parent):
        chain(storage, location)


def test_a_chain_that_the_store_knows_nothing_of_is_refused(storage: Described) -> None:
    location = keep(storage, f"{BACKUP}.xbstream.gz", b"")
    with pytest.raises(ChainUnknown, match=BACKUP):
        foreign.chain(storage, CONTEXT, location, incremental=True)
    storage.kept[f"{BACKUP}.xbstream.gz"] = {foreign.PARENT: keep(storage, "full.xbstream.gz", b"")}
    assert len(foreign.chain(storage, CONTEXT, location, incremental=True)) == 2


class Archived(BaseBackupStrategy):
    """Reads the archives of others."""

    foreign = frozenset({"tar"})

    def backup(self, parent: object) -> None: ...  # type: ignore[override]

    def restore(self, stages: list[Stage], target: Path) -> None:  # type: ignore[override]
        [stage] = stages
        (target / "restored").write_bytes(b"".join(stage.chunks))


@pytest.fixture
def image(conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch) -> Iterator[cfg.ConfigOpts]:
    """An image with two strategies."""
    offered = {"dumps": BaseBackupStrategy, "archives": Archived, "local": LocalStorage}
    monkeypatch.setattr(foreign, "load_one", lambda _group, name, _base: offered[name])
    monkeypatch.setattr(tasks, "load_one", lambda _group, name, _base: offered[name])
    conf.set_override("backup_strategies", ["dumps", "archives"], "image")
    yield conf
    conf.clear_override("backup_strategies", "image")


def test_the_strategy_is_the_one_of_the_image_that_reads_such_streams(image: cfg.ConfigOpts) -> None:
    assert foreign.strategy(image, Form(BACKUP, "tar", gzipped=True, encrypted=False)) is Archived
    with pytest.raises(NoReader, match="restores its 'xbstream'"):
        foreign.strategy(image, Form(BACKUP, "xbstream", gzipped=True, encrypted=False))


def restore(conf: cfg.ConfigOpts, target: Path, location: str, checksum: str | None = None) -> bytes:
    facts = ServerFacts("d", "1", str(target), str(target.parent / "scratch"))
    job = Restore({}, Place("local", None, CONTAINER), facts, location, str(target), checksum)
    target.mkdir(exist_ok=True)
    tasks.do(conf, job, silent)
    return (target / "restored").read_bytes()


def test_a_restore_finds_what_has_no_manifest(storage: Described, image: cfg.ConfigOpts, tmp_path: Path) -> None:
    location = keep(storage, f"{BACKUP}.tar.gz", gzipped(CONTENT))
    checksum = hashlib.md5(gzipped(CONTENT)).hexdigest()
    assert restore(image, tmp_path / "target", location, checksum) == CONTENT
    with pytest.raises(ChecksumDiffers):
        restore(image, tmp_path / "target", location, checksum[::-1])


@pytest.mark.parametrize("name", [f"{BACKUP}.tar.gz", f"{BACKUP}.backup", "something"])
def test_what_is_not_there_is_no_backup(image: cfg.ConfigOpts, tmp_path: Path, name: str) -> None:
    with pytest.raises(NoBackup, match=name):
        restore(image, tmp_path / "target", PLACE + name)


def test_what_has_lost_its_manifest_is_no_backup(storage: Described, image: cfg.ConfigOpts, tmp_path: Path) -> None:
    location = keep(storage, f"{BACKUP}.backup", b"parts")
    with pytest.raises(NoBackup):
        restore(image, tmp_path / "target", location)


def test_the_password_is_a_secret() -> None:
    made = cfg.ConfigOpts()
    options.register(made)
    assert made._get_opt_info("trove_aes_cbc_key", "backup")["opt"].secret


def test_errors_are_one_sentence() -> None:
    for kind in (NoReader, ChainUnknown, ChecksumDiffers, PasswordMissing, WrongPassword, SaltedDamaged):
        assert issubclass(kind, GuestAgentError)
        assert kind.sentence.endswith(".")
        assert kind.id.startswith("backup.")


def test_gzip_streams_are_known_by_their_beginning() -> None:
    assert gzip.compress(b"", mtime=0).startswith(Form("b", "xbstream", gzipped=True, encrypted=True).begins)
    assert gzipped(b"").startswith(Form("b", "xbstream", gzipped=True, encrypted=True).begins)
