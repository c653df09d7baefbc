"""What the kernel and a process itself say of it."""

import sys
from pathlib import Path

import pytest

from benchmarks.process import PROBE, MeasuredProcess
from guestagent.conformance.poll import eventually

IDLE = "import threading\nopen('ready', 'w').close()\nthreading.Event().wait()"
FORKED = f"""
import os, time
parent = os.getpid()
if os.fork() == 0:
    ballast = bytearray(b"x") * (64 << 20)
    while os.getppid() == parent:
        time.sleep(0.02)
    os._exit(0)
{IDLE}
"""
BUSY = "open('ready', 'w').close()\nwhile True: pass"


def running(directory: Path, program: str) -> MeasuredProcess:
    (directory / "program.py").write_text(program)
    process = MeasuredProcess([sys.executable, str(directory / "program.py")], directory)
    eventually((directory / "ready").exists)
    return process


@pytest.mark.parametrize("extra", ["", "import difflib\n"])
def test_it_tells_the_imported_modules_and_not_the_probe(tmp_path: Path, extra: str):
    with running(tmp_path, extra + IDLE) as process:
        modules = process.modules()

    assert ("difflib" in modules) == bool(extra)
    assert "threading" in modules
    assert "sitecustomize" not in modules


def test_it_can_be_asked_again(tmp_path: Path):
    with running(tmp_path, IDLE) as process:
        assert process.modules() == process.modules()


def test_the_probe_leaves_the_search_path_as_it_was(tmp_path: Path):
    with running(tmp_path, f"import sys\nopen('path', 'w').write(repr(sys.path))\n{IDLE}"):
        assert str(PROBE) not in (tmp_path / "path").read_text()


def test_a_forked_copy_counts_as_memory(tmp_path: Path):
    with running(tmp_path, FORKED) as process:
        eventually(lambda: process.resident() > 64)


def test_processor_time_grows_with_work_and_hardly_without(tmp_path: Path):
    with running(tmp_path, BUSY) as process:
        eventually(lambda: process.cpu() > 0.2)
    (tmp_path / "ready").unlink()
    with running(tmp_path, IDLE) as process:
        assert 0 < process.cpu() < 1
