"""Arguments of a call, as they are typed."""

import io
from pathlib import Path
from typing import Any

import pytest

from guestagent.cmd.ctl.arguments import pair


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("name=shop", ("name", "shop")),
        ("name=", ("name", "")),
        ("limit=20", ("limit", "20")),
        ("limit:=20", ("limit", 20)),
        ("marker=bob@%", ("marker", "bob@%")),
        ("text=a=b:=c", ("text", "a=b:=c")),
        ("text=two\nlines", ("text", "two\nlines")),
        ('users:=[{"_name": "größe"}]', ("users", [{"_name": "größe"}])),
        ("nothing:=null", ("nothing", None)),
        ('at:="@file"', ("at", "@file")),
    ],
)
def test_text_and_json(typed: str, meant: tuple[str, Any]) -> None:
    assert pair(typed) == meant


@pytest.mark.parametrize("typed", ["", "name", "=text", ":=1", "two words=1", "1st=1", "na-me=1"])
def test_what_is_no_argument(typed: str) -> None:
    with pytest.raises(ValueError, match="key=text or key:=json"):
        pair(typed)


def test_a_value_that_is_no_json_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="the value of password is no JSON") as raised:
        pair("password:=geheim")

    assert "geheim" not in str(raised.value)


def test_values_from_files(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("[1, 2]\n")

    assert pair(f"key=@{file}") == ("key", "[1, 2]")
    assert pair(f"key:=@{file}") == ("key", [1, 2])


def test_values_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("geheim\n"))

    assert pair("password=@-") == ("password", "geheim")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "value"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ValueError, match=f"{file} cannot be read"):
        pair(f"key=@{file}")
