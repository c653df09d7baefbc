"""The server's configuration syntax: nothing that is written can mean something else."""

import pytest
from guestagent_redis import directives, sizing

from guestagent.contract.errors import InvalidValue


def test_comments_and_empty_lines_are_no_directives() -> None:
    found = directives.parsed("# a\n\n  MaxClients   10  \nsave 60 1\n\tbind 127.0.0.1 ::1\n")
    assert [tuple(one) for one in found] == [
        ("maxclients", "MaxClients   10"),
        ("save", "save 60 1"),
        ("bind", "bind 127.0.0.1 ::1"),
    ]


def test_saves_replace_those_before_them() -> None:
    assert directives.written(directives.parsed("save 60 1\nsave 5 100\n")) == 'save ""\nsave 60 1\nsave 5 100\n'
    assert directives.rendered({"save": "60 1"}) == 'save ""\nsave "60 1"\n'
    assert directives.rendered({"save": ""}) == 'save ""\nsave ""\n'


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (True, 'x "yes"'),
        (False, 'x "no"'),
        (10, 'x "10"'),
        (0.5, 'x "0.5"'),
        ("a b", 'x "a b"'),
        ('say "hi" \\n', 'x "say \\"hi\\" \\\\n"'),
        ("# no comment", 'x "# no comment"'),
    ],
)
def test_a_value_is_one_argument(value: object, line: str) -> None:
    assert directives.rendered({"X": value}) == f"{line}\n"


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, b"x", "line\nend", "nul\0", "\ud800", "\x1b"])
def test_a_value_that_could_end_its_line_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue):
        directives.rendered({"x": value})


@pytest.mark.parametrize("name", ["", "a b", "#a", "include\n", "a\0", "9", "-a", "x" * 65, "ü"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        directives.rendered({name: 1})


def test_the_last_one_counts() -> None:
    texts = ["maxclients 10\nhz 5\n", 'maxclients "20"\n', ""]
    assert directives.last(texts, "maxclients") == "20"
    assert directives.last(texts, "hz") == "5"
    assert directives.last(texts, "klingon") is None


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("1gb", "1073741824", True),
        ("1G", "1000000000", True),
        ("YES", "yes", True),
        ("16", "16", True),
        ("-1", "-1", True),
        ("1gb", "1g", False),
        ("", "0", False),
        ("a b", "a  b", False),
    ],
)
def test_spellings_of_one_value(one: str, other: str, alike: bool) -> None:
    assert directives.same(one, other) is alike


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (512, {"maxmemory": "307mb", "auto-aof-rewrite-min-size": "64mb", "save": sizing.OFTEN}),
        (4096, {"maxmemory": "2457mb", "auto-aof-rewrite-min-size": "307mb", "save": sizing.OFTEN}),
        (131072, {"maxmemory": "78643mb", "auto-aof-rewrite-min-size": "1024mb", "save": sizing.RARELY}),
    ],
)
def test_memory_decides_what_nobody_says(memory: int, expected: dict[str, str]) -> None:
    found = sizing.defaults(memory, 60)
    assert {name: found[name] for name in expected} == expected
    assert found["appendonly"] == "yes"
