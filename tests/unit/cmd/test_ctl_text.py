"""Tables and values, as people see them."""

import pytest

from guestagent.cmd.ctl import text


def test_a_table_has_columns() -> None:
    rows = [["a", True, None], ["longer", False, "the last one"]]

    assert text.table(["NAME", "OK", "WHY"], rows) == "\n".join(
        [
            "NAME    OK   WHY",
            "a       yes  -",
            "longer  no   the last one",
        ]
    )


def test_a_table_without_rows_is_its_head() -> None:
    assert text.table(["NAME", "OK"], []) == "NAME  OK"


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (True, "yes"),
        (None, "-"),
        (3.5, "3.5"),
        ("text", "text"),
        ("", ""),
        ([], "[]"),
        ({}, "{}"),
        (["a", {"b": 1}], 'a\n{"b": 1}'),
        ({"status": "on", "modes": ["a", "b"]}, 'status  on\nmodes   ["a", "b"]'),
        ([{"name": "a"}, {"name": "b", "size": 1}], "NAME  SIZE\na     -\nb     1"),
        ([[{"_name": "a"}], None], '[{"_name": "a"}]\n-'),
    ],
)
def test_a_value_has_the_form_that_fits_it(found: object, shown: str) -> None:
    assert text.value(found) == shown


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("to the left \u202e", "to the left \\u202e"),
        ("\x9b31m", "\\x9b31m"),
        ("größe 大小", "größe 大小"),
    ],
)
def test_no_value_commands_the_terminal(hostile: str, shown: str) -> None:
    assert text.cell(hostile) == shown
    assert text.value({hostile: hostile}) == f"{shown}  {shown}"
    assert text.value([{hostile: hostile}]) == f"{shown.upper()}\n{shown}"
