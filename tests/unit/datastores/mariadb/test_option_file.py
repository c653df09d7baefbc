"""MariaDB's option files: reading those of others, writing our own."""

import pytest
from guestagent_mariadb import option_file

from guestagent.contract.errors import InvalidValue

FOREIGN = """\
before = any section
[client]
port = 3306
[mysqld_safe]
nice = 0
[mysqld]
# a comment
; another
max_connections = 100
Key-Buffer-Size=50M
skip-external-locking
!includedir /etc/mysql/conf.d/
!include /etc/passwd
  [ mariadb-10.11 ]
  sort_buffer_size = 1M
[mysqldump]
quick
[server]
join_buffer_size = 2M
"""


def test_only_the_servers_sections_are_read() -> None:
    assert [(option.section, option.name) for option in option_file.server_options(FOREIGN)] == [
        ("mysqld", "max_connections"),
        ("mysqld", "key_buffer_size"),
        ("mysqld", "skip_external_locking"),
        ("mariadb-10.11", "sort_buffer_size"),
        ("server", "join_buffer_size"),
    ]


def test_what_was_read_is_written_as_it_was() -> None:
    text = option_file.written(option_file.server_options(FOREIGN))
    assert text == (
        "[mysqld]\nmax_connections = 100\nKey-Buffer-Size=50M\nskip-external-locking\n"
        "[mariadb-10.11]\nsort_buffer_size = 1M\n[server]\njoin_buffer_size = 2M\n"
    )
    assert option_file.written([]) == ""


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("max_connections", "max_connections"),
        ("Loose-Skip-Grant-Tables", "grant_tables"),
        ("skip-innodb", "innodb"),
        ("maximum_x", "x"),
        ("skipper", "skipper"),
    ],
)
def test_prefixes_hide_no_name(name: str, bare: str) -> None:
    assert option_file.bare(name) == bare


@pytest.mark.parametrize(
    "value",
    ["plain", "with blank", "#", "; x", 'quo"te', "apo'strophe", "back\\slash", "\\n", "tab\there", "", "ünï", "="],
)
def test_a_text_comes_back_as_it_was(value: str) -> None:
    text = option_file.rendered({"init_connect": value, "port": 1})
    assert text.count("\n") == 3
    assert option_file.values(text, {"init_connect"}) == {"init_connect": value}


def test_numbers_and_truths_are_written_plainly() -> None:
    text = option_file.rendered({"a": 1, "b-c": 0.5, "D": True, "e": False})
    assert text == "[mysqld]\na = 1\nb_c = 0.5\nd = ON\ne = OFF\n"
    assert option_file.rendered({}) == ""


@pytest.mark.parametrize(
    "values",
    [
        {"a": "x\ny"},
        {"a": "x\r"},
        {"a": "\0"},
        {"a": "\ud800"},
        {"a": None},
        {"a": ["x"]},
        {"a": {"b": 1}},
        {"a\nb": 1},
        {"a = 1 #": 1},
        {"[client]": 1},
        {"!include": "/etc/passwd"},
        {"": 1},
        {"1a": 1},
        {"ä": 1},
    ],
    ids=repr,
)
def test_what_could_end_its_line_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidValue) as refused:
        option_file.rendered(values)
    str(refused.value).encode()


def test_values_are_those_of_one_section() -> None:
    text = "[client]\nuser = me\n[mysqld]\nuser = you\n"
    assert option_file.values(text, {"user"}, "client") == {"user": "me"}
    assert option_file.values(text, {"user", "port"}) == {"user": "you"}
