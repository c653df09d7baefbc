"""The syntax of the configuration files, there and back."""

import pytest
from guestagent_postgresql import conf_file
from guestagent_postgresql.conf_file import Setting

from guestagent.contract.errors import InvalidValue


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("work_mem = 4MB", "work_mem = 4MB"),
        ("  Work_Mem=4MB  # so many", "work_mem = 4MB"),
        ("work_mem 4MB", "work_mem = 4MB"),
        ("a = 'it''s # here'\t# and more", "a = 'it''s # here'"),
        ("a = 'back\\\\slash'", "a = 'back\\\\slash'"),
        ("my.setting = on", "my.setting = on"),
    ],
)
def test_a_setting_is_found(line: str, found: str) -> None:
    assert [setting.text for setting in conf_file.settings(line)] == [found]


@pytest.mark.parametrize(
    "line",
    ["", "# work_mem = 4MB", "work_mem", "= 4MB", "a = 'open", "a = b c", "include_dir = '/etc'", "INCLUDE 'x'", "[x]"],
)
def test_what_is_no_setting_is_left_out(line: str) -> None:
    assert list(conf_file.settings(line)) == []


def test_settings_are_written_one_to_a_line() -> None:
    assert conf_file.written([Setting("a", "a = 1"), Setting("b", "b = 2")]) == "a = 1\nb = 2\n"


def test_values_come_back_as_they_were_given() -> None:
    given = {"a": "it's", "b": "back\\slash \\'", "c": "# no comment", "d": "", "e": "π"}
    text = conf_file.rendered({**given, "f": True, "g": False, "h": 1.5, "Odd.Name": 7})
    assert conf_file.values(text, [*given, "f", "g", "h", "odd.name"]) == {
        **given, "f": "on", "g": "off", "h": "1.5", "odd.name": "7",
    }  # fmt: skip
    assert conf_file.values(text, ["a"]) == {"a": "it's"}


@pytest.mark.parametrize("value", ["a\nb", "nul\0", "tab\t", "\ud800", None, [1], {"a": 1}])
def test_a_value_that_cannot_be_written_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue):
        conf_file.rendered({"a": value})


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a\nb", "1a", "a..b", "include", "Include_Dir", "x'"])
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        conf_file.rendered({name: 1})
