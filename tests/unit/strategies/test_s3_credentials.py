"""The file of credentials: what is read of it, and what is never said of it."""

from pathlib import Path

import pytest
from guestagent_s3 import credentials
from guestagent_s3.credentials import Credentials

from guestagent.contract.errors import InvalidValue

GOOD = "[default]\naws_access_key_id = key\naws_secret_access_key = sec%ret/+=\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    return path


def test_a_file_as_amazons_tools_write_it_is_read(file: Path) -> None:
    file.write_text(f"# mine\n[other]\naws_access_key_id = no\n{GOOD}region = eu-west-1\n")

    assert credentials.read(file) == Credentials("key", "sec%ret/+=")


def test_credentials_that_expire_have_a_token(file: Path) -> None:
    file.write_text(f"{GOOD}aws_session_token = to=ken\n")

    assert credentials.read(file) == Credentials("key", "sec%ret/+=", "to=ken")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_may_read_is_not_used(file: Path, mode: int) -> None:
    file.write_text(GOOD)
    file.chmod(mode)

    with pytest.raises(InvalidValue, match=r"others may read it.*set its mode to 0600"):
        credentials.read(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hidden",
        b"[default]\nhidden\n",
        b"[default]\naws_access_key_id = key\n",
        b"[default]\naws_access_key_id =\naws_secret_access_key = hidden\n",
        b"[other]\naws_access_key_id = key\naws_secret_access_key = hidden\n",
        b"[default]\naws_access_key_id = key\naws_secret_access_key = hidden\n next = line\n",
        b"[default]\naws_access_key_id = key\naws_secret_access_key = hidden\naws_access_key_id = key\n",
        "[default]\naws_access_key_id = key\naws_secret_access_key = hidden\xfc\n".encode(),
        b"[default]\naws_access_key_id = key\naws_secret_access_key = hidden\xff\n",
        b"[default]\naws_access_key_id = key\naws_secret_access_key = hidden\n" + b"#" * 70_000,
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_being_shown(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    with pytest.raises(InvalidValue, match=str(file)) as caught:
        credentials.read(file)

    shown = f"{caught.value}{caught.value.__cause__}"
    assert "hidden" not in shown


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InvalidValue, match=str(path)):
            credentials.read(path)
