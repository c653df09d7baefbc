"""What is asked of the programs without a server, and what their complaints name."""

from pathlib import Path

import pytest
from guestagent_postgresql.programs import Programs, culprits

from guestagent.contract.errors import DatastoreError, InvalidValue, SystemFailure


def install(directory: Path, major: str, script: str = "exit 0") -> None:
    path = directory / major / "bin" / "postgres"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_versions_of_an_image_are_found(tmp_path: Path) -> None:
    for major in ("9.6", "9", "17", "15", "lib"):
        install(tmp_path, major)
    (tmp_path / "16").mkdir()
    programs = Programs(tmp_path, None)
    assert programs.majors() == [15, 17]
    assert programs.newest() == 17
    assert programs.path(15, "initdb") == f"{tmp_path}/15/bin/initdb"


def test_an_image_without_a_server_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="holds no server"):
        Programs(tmp_path, None).newest()


def test_a_server_tells_its_version(tmp_path: Path) -> None:
    install(tmp_path, "15", "echo 'postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)'")
    install(tmp_path, "16", "echo 'postgres (PostgreSQL) 16beta1'")
    programs = Programs(tmp_path, None)
    assert programs.version(15) == (15, 18)
    with pytest.raises(DatastoreError, match="16beta1"):
        programs.version(16)


def test_complaints_are_the_servers_own_words(tmp_path: Path) -> None:
    said = [
        '2026-11-26 UTC [1] LOG:  unrecognized configuration parameter "klingon" in file "/x" line 1',
        '2026-11-26 UTC [1] LOG:  invalid value for parameter "Work_Mem": "many"',
        "2026-11-26 UTC [1] HINT:  Valid units for this parameter are kB.",
        '2026-11-26 UTC [1] FATAL:  configuration file "/x" contains errors',
    ]
    lines = "\n".join(f"echo '{line}' >&2" for line in said)
    install(tmp_path, "15", f"{lines}\nexit 1")
    found = Programs(tmp_path, None).complaints(15, [])
    assert found == [line.partition("LOG:  ")[2] for line in said[:2]]
    assert culprits(found) == {"klingon", "work_mem"}


def test_a_server_that_ends_well_has_no_complaints(tmp_path: Path) -> None:
    install(tmp_path, "15", "echo 'LOG:  just saying' >&2")
    install(tmp_path, "16", "exit 3")
    programs = Programs(tmp_path, None)
    assert programs.complaints(15, []) == []
    with pytest.raises(SystemFailure, match="code 3"):
        programs.complaints(16, [])
