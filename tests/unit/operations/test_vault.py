"""Sealed values: nobody reads them without the key, and one that was changed is not believed."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from guestagent.contract.errors import InvalidValue, SystemFailure
from guestagent.operations.vault import NAME, Vault
from guestagent.system import files

SECRET = "correct horse battery staple"
SEALER = 8


@pytest.mark.parametrize(
    "value", [None, True, 7, "", "text", [], {}, {"a": [1, {"password": SECRET}], "é": "ü" * 100_000}], ids=type
)
def test_what_was_sealed_can_be_opened(tmp_path: Path, value: Any) -> None:
    assert Vault(tmp_path).open(Vault(tmp_path).seal(value)) == value


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize("value", [f"{SECRET} \ud800", {f"{SECRET} \udcff": 1}, deep()], ids=["text", "key", "deep"])
def test_what_cannot_be_written_down_is_refused_without_a_word_of_it(tmp_path: Path, value: Any) -> None:
    with pytest.raises(InvalidValue, match="cannot be written down") as refused:
        Vault(tmp_path).seal(value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_nothing_of_it_can_be_read(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert SECRET.encode() not in vault.seal({"password": SECRET})
    assert b"password" not in vault.seal({"password": SECRET})


def test_equal_values_do_not_look_equal(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    assert len({vault.seal(SECRET) for _ in range(50)}) == 50


def test_the_key_is_for_the_agent_alone(tmp_path: Path) -> None:
    Vault(tmp_path).seal(SECRET)
    [written] = tmp_path.iterdir()
    assert written.name == NAME
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_vault_that_is_not_used_makes_no_key(tmp_path: Path) -> None:
    Vault(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    sealed = vault.seal({"is_root": False})
    for place in range(len(sealed)):
        for bit in (1, 128):
            changed = bytearray(sealed)
            changed[place] ^= bit
            with pytest.raises(SystemFailure, match="does not fit"):
                vault.open(bytes(changed))


def test_nor_one_that_was_cut_or_has_grown(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    sealed = vault.seal({"is_root": False})
    for wrong in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed + sealed):
        with pytest.raises(SystemFailure, match="does not fit"):
            vault.open(wrong)


def test_another_machine_cannot_open_it(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    sealed = Vault(tmp_path / "here").seal(SECRET)
    with pytest.raises(SystemFailure, match=NAME) as refused:
        Vault(tmp_path / "there").open(sealed)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("damage", [b"", b"short", bytes(63), bytes(65), bytes(4096)], ids=len)
def test_a_damaged_key_is_kept_and_new_things_are_sealed_by_a_new_one(tmp_path: Path, damage: bytes) -> None:
    lost = Vault(tmp_path).seal("lost")
    (tmp_path / NAME).write_bytes(damage)

    vault = Vault(tmp_path)
    with pytest.raises(SystemFailure):
        vault.open(lost)
    assert Vault(tmp_path).open(vault.seal("new")) == "new"
    [kept] = [path for path in tmp_path.iterdir() if path.name != NAME]
    assert kept.read_bytes() == damage


def test_a_key_of_the_right_size_and_other_bytes_opens_nothing(tmp_path: Path) -> None:
    sealed = Vault(tmp_path).seal(SECRET)
    (tmp_path / NAME).write_bytes(bytes(64))
    with pytest.raises(SystemFailure, match="does not fit"):
        Vault(tmp_path).open(sealed)


def test_a_key_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match=f"Writing .*{NAME}"):
        Vault(tmp_path / "nowhere").seal(SECRET)


def test_a_key_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(SystemFailure, match=f"Reading .*{NAME}"):
        Vault(tmp_path).seal(SECRET)


def test_threads_that_seal_the_first_values_make_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(tmp_path)
    together = threading.Barrier(SEALER)
    write = files.write

    def write_slowly(*args: Any, **options: Any) -> None:
        threading.Event().wait(0.01)
        write(*args, **options)

    def seal(number: int) -> bytes:
        together.wait(10)
        return vault.seal(number)

    monkeypatch.setattr(files, "write", write_slowly)
    with ThreadPoolExecutor(SEALER) as threads:
        sealed = list(threads.map(seal, range(SEALER)))
    assert [Vault(tmp_path).open(value) for value in sealed] == list(range(SEALER))
