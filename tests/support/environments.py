"""Virtual environments of the tests' own, kept in ``.work`` for as long as what they hold is the same."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work" / "tests"
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
PIP_SECONDS = 1200


def environment(name: str, requirements: Sequence[str], constraints: Path = CONSTRAINTS) -> Path:
    """An environment that holds the requirements and nothing else, not even pip.

    :param name: there is one of a name at a time.
    :param requirements: as pip takes them; wheels of this tree by their paths.
    :param constraints: the versions of everything that is not required by itself.
    :returns: its interpreter.
    """
    path = WORK / name
    content = _digest([sys.version, str(path), *map(_content, requirements), constraints.read_text()])
    complete = path.with_name(f"{name}.complete")
    with _locked(path.with_name(f"{name}.lock")):
        if not complete.exists() or complete.read_text() != content:
            complete.unlink(missing_ok=True)
            venv.create(path, clear=True)
            python = str(path / "bin" / "python")
            _pip("--python", python, "install", "--quiet", "--constraint", str(constraints), *requirements)
            complete.write_text(content)
    return path / "bin" / "python"


def build_wheel(folder: str) -> Path:
    """The wheel of a distribution of this tree, built from a copy: setuptools writes where it builds.

    The same tree gives the same bytes.

    :param folder: relative to the root of the tree; ``.`` is the runtime.
    """
    of_folder = WORK / "wheels" / f"of-{folder.replace('/', '-')}"
    with _locked(WORK / "wheels.lock"), tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        shutil.copytree(ROOT / folder, source, ignore=NOT_SOURCE)
        wheels = of_folder / _digest_of(source)
        if not list(wheels.glob("*.whl")):
            shutil.rmtree(of_folder, ignore_errors=True)
            _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    (wheel,) = wheels.glob("*.whl")
    return wheel


def _digest_of(source: Path) -> str:
    """What a folder holds, in short."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    return _digest([f"{path.relative_to(source)} {_content(str(path))}" for path in files])[:16]


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        # A wheel's times are not its content.
        env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"pip {' '.join(arguments)}:\n{done.stdout}"


def _content(requirement: str) -> str:
    path = Path(requirement)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else requirement


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps two runs of the tests from making the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
