"""What the server's program says about a configuration, in the words of several versions."""

from pathlib import Path

import pytest
from guestagent_mariadb.server_program import ServerProgram

from guestagent.contract.errors import DatastoreError, SystemFailure

TABLE = """\
Variables (--variable-name=value)
and boolean options {FALSE|TRUE}                             Value (after reading options)
------------------------------------------------------------ -------------
max-connections                                              151
sql-mode                                                     STRICT_TRANS_TABLES
datadir                                                      (No default value)

To see what variables a running server is using, type
"""
WHEN = "2026-11-21  3:25:57 0"


def program(directory: Path, *, says: str = "", complains: str = "", code: int = 0) -> ServerProgram:
    """A program that behaves as said, whatever it is asked."""
    (directory / "out").write_text(says)
    (directory / "err").write_text(complains)
    path = directory / "mariadbd"
    path.write_text(f"#!/bin/sh\ncat {directory}/out\ncat {directory}/err >&2\nexit {code}\n")
    path.chmod(0o755)
    return ServerProgram(str(path), None)


def test_a_good_configuration_has_no_complaints(tmp_path: Path) -> None:
    said = f"{WHEN} [Warning] Could not increase number of max_open_files to more than 20000 (request: 32184)\n"
    verdict = program(tmp_path, says=TABLE, complains=said).judge(tmp_path / "server.cnf")
    assert (verdict.complaints, verdict.culprits, verdict.remarks) == ((), frozenset(), {})
    assert verdict.known == {"max_connections", "sql_mode", "datadir"}


@pytest.mark.parametrize(
    ("complaint", "culprit"),
    [
        ("/usr/sbin/mariadbd: unknown variable 'innodb_foo=1'", "innodb_foo"),
        ("/usr/sbin/mariadbd: unknown option '--skip-foo'", "foo"),
        ("mariadbd: Error while setting value 'FOO' to 'sql_mode'", "sql_mode"),
        (
            f"{WHEN} [ERROR] /usr/sbin/mariadbd: Error while setting value 'a'b' to 'innodb-flush-method'",
            "innodb_flush_method",
        ),
        (
            f"{WHEN} [ERROR] Buffered error: /usr/sbin/mariadbd: Error while setting value 'abc' to 'max_connections'",
            "max_connections",
        ),
        ("Buffered error: /usr/sbin/mariadbd: option '--port' requires an argument", "port"),
    ],
)
def test_the_option_to_blame_is_found(tmp_path: Path, complaint: str, culprit: str) -> None:
    verdict = program(tmp_path, complains=f"{WHEN} [ERROR] {complaint}\n", code=7).judge(tmp_path / "server.cnf")
    assert verdict.culprits == {culprit}
    assert len(verdict.complaints) == 1


@pytest.mark.parametrize(
    "complaint",
    [
        f"{WHEN} [ERROR] COLLATION 'utf8mb4_bin' is not valid for CHARACTER SET 'latin1'",
        "/usr/sbin/mariadbd: Character set 'nix' is not a compiled character set",
        "error: Wrong group definition in config file: /x/t.cnf at line 11",
    ],
)
def test_a_complaint_may_blame_no_option(tmp_path: Path, complaint: str) -> None:
    verdict = program(tmp_path, complains=complaint + "\n", code=1).judge(tmp_path / "server.cnf")
    assert verdict.complaints
    assert not verdict.culprits


@pytest.mark.parametrize(
    ("remark", "name"),
    [
        ("option 'innodb-page-size': unsigned value 77 adjusted to 4096", "innodb_page_size"),
        (
            f"{WHEN} [Warning] Buffered warning: option 'max_connections': unsigned value 9 adjusted to 10",
            "max_connections",
        ),
        (
            f"{WHEN} [Warning] option 'general_log': boolean value 'banana' wasn't recognized. Set to OFF.",
            "general_log",
        ),
        ("/usr/sbin/mariadbd: ignoring option '--foo' due to invalid value 'utf8'", "foo"),
    ],
)
def test_an_option_that_is_taken_otherwise_is_remarked(tmp_path: Path, remark: str, name: str) -> None:
    verdict = program(tmp_path, complains=f"{WHEN} [Warning] {remark}\n").judge(tmp_path / "server.cnf")
    assert list(verdict.remarks) == [name]
    assert not verdict.complaints


def test_a_program_that_ends_without_a_word_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match="code 3"):
        program(tmp_path, code=3).judge(tmp_path / "server.cnf")
    with pytest.raises(SystemFailure):
        ServerProgram("/nowhere/mariadbd", None).judge(tmp_path / "server.cnf")


def test_the_version_is_three_numbers(tmp_path: Path) -> None:
    said = "mariadbd  Ver 11.4.2-MariaDB-ubu2404 for debian-linux-gnu on x86_64 (mariadb.org binary distribution)\n"
    assert program(tmp_path, says=said).version() == (11, 4, 2)
    with pytest.raises(DatastoreError):
        program(tmp_path, says="what?\n").version()
