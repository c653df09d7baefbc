"""The ping driver gives back what the module says."""

from pathlib import Path

import pytest

from guestagent.contract.errors import InvalidValue
from guestagent.contract.modules import Module
from guestagent.modules.ping import PingDriver

MODULE = Module(id="1", name="hello", type="ping")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"message=hi", "hi"),
        (b"message = Hello there \n", "Hello there"),
        (b"MESSAGE=loud", "loud"),
        (b"colour=red\nmessage=a=b\nmessage=second\n", "a=b"),
        (b"message=", ""),
        (b"\xff\xfe\nmessage=caf\xe9", "caf\ufffd"),
        (b"message=one\r\nx=y", "one"),
    ],
)
def test_the_first_message_is_the_answer(tmp_path: Path, contents: bytes, message: str) -> None:
    path = tmp_path / "contents"
    path.write_bytes(contents)
    assert PingDriver().apply(MODULE, path) == message


@pytest.mark.parametrize("contents", [b"", b"\n", b"hello", b"messages=hi", b"a message=hi\0"])
def test_contents_without_a_message_cannot_be_applied(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "contents"
    path.write_bytes(contents)
    with pytest.raises(InvalidValue, match=r"Module 'hello'.*no line 'message=…'"):
        PingDriver().apply(MODULE, path)


def test_removing_leaves_nothing_to_do(tmp_path: Path) -> None:
    path = tmp_path / "contents"
    path.write_bytes(b"message=hi")
    PingDriver().remove(MODULE, path)
    assert path.exists(), "the file belongs to the runtime"
