"""Keys by id: where they come from, which one encrypts, and what is refused without showing one."""

import os
from pathlib import Path

import pytest

from guestagent.backup import keyring
from guestagent.backup.keyring import Keyring, KeysUnusable, UnknownKey

ONE, TWO, THREE = "11" * 32, "Ab" * 32, "33" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    return path


def test_the_first_key_encrypts_and_all_decrypt(file: Path) -> None:
    file.write_text(f"# new\n2025 {ONE}\n\n  2024\t{TWO}  \n")
    keys = keyring.read([], file, None)
    assert keys is not None
    assert keys.current == "2025"
    assert keys.key("2025", "b") == b"\x11" * 32
    assert keys.key("2024", "b") == b"\xab" * 32


def test_a_chosen_key_encrypts(file: Path) -> None:
    file.write_text(f"2025 {ONE}\n2024 {TWO}\n")
    keys = keyring.read([], file, "2024")
    assert keys is not None
    assert keys.current == "2024"


def test_the_configuration_s_keys_come_before_those_of_the_file(file: Path) -> None:
    file.write_text(f"2024 {TWO}\n")
    keys = keyring.read([f"2025:{ONE}", f"2023: {THREE}"], file, None)
    assert keys is not None
    assert keys.current == "2025"
    assert [keys.key(name, "b")[0] for name in ("2025", "2024", "2023")] == [0x11, 0xAB, 0x33]


def test_without_keys_there_is_no_ring(file: Path) -> None:
    assert keyring.read([], None, None) is None
    file.write_text("\n# none yet\n")
    assert keyring.read([], file, None) is None


@pytest.mark.parametrize("keys", [{}, {"other": b"1" * 32}])
def test_a_chosen_key_that_is_not_there_is_refused(keys: dict[str, bytes]) -> None:
    with pytest.raises(KeysUnusable, match="none of the id '2025'"):
        Keyring(keys, "2025")
    with pytest.raises(KeysUnusable, match="none of the id '2025'"):
        keyring.read([], None, "2025")


def test_a_key_that_is_not_there_is_named_with_its_backup() -> None:
    with pytest.raises(UnknownKey, match=r"'b-1' is encrypted with key 'gone'.*encryption_key_file"):
        Keyring({"k": b"1" * 32}).key("gone", "b-1")


@pytest.mark.parametrize(
    "line",
    [
        TWO,
        f"id {TWO}0",
        f"id {TWO[:-1]}",
        f"id {TWO[:-1]}g",
        f"-id {TWO}",
        f"id id {TWO}",
        f"i\u00e4d {TWO}",
        f"id {TWO} #",
    ],
)
def test_a_line_that_is_no_key_is_refused_and_not_shown(file: Path, line: str) -> None:
    file.write_text(f"2025 {ONE}\n# a remark\n{line}\n")
    with pytest.raises(KeysUnusable, match="entry 3 is not an id") as raised:
        keyring.read([], file, None)
    assert str(file) in str(raised.value)
    assert "abab" not in str(raised.value).lower()
    with pytest.raises(KeysUnusable, match="encryption_keys cannot be used: entry 1") as raised:
        keyring.read([line], None, None)
    assert "abab" not in str(raised.value).lower()


def test_an_id_that_is_there_twice_is_refused(file: Path) -> None:
    file.write_text(f"2025 {ONE}\n2025 {TWO}\n")
    with pytest.raises(KeysUnusable, match="'2025' is there twice"):
        keyring.read([], file, None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.write_text(f"2025 {ONE}\n")
    file.chmod(mode)
    with pytest.raises(KeysUnusable, match=rf"mode {mode:04o}.*chmod 600"):
        keyring.read([], file, None)


def test_a_stricter_mode_is_no_fault(file: Path) -> None:
    file.write_text(f"2025 {ONE}\n")
    file.chmod(0o400)
    assert keyring.read([], file, None) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    file.write_text(f"2025 {ONE}\n")
    os.chown(file, 12345, 12345)
    with pytest.raises(KeysUnusable, match="somebody else's"):
        keyring.read([], file, None)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(KeysUnusable, match=said):
            keyring.read([], path, None)


def test_a_file_without_an_end_is_not_read_to_its_end(file: Path) -> None:
    file.write_bytes(b"#" * (2 << 20))
    with pytest.raises(KeysUnusable, match="too long"):
        keyring.read([], file, None)


def test_nothing_that_a_ring_says_of_itself_shows_a_key() -> None:
    keys = Keyring({"k": b"secret-secret-secret-secret-secr"})
    assert "secret" not in f"{keys!r} {keys}"
