"""A directory of wheels with their hashes: all that an image's agent is installed from."""

import configparser
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.utils import parse_wheel_filename

from guestagent_image.errors import NotFresh, NoWheelhouse, UnknownSource
from guestagent_image.selection import Selection, canonical
from guestagent_image.tools import run

REQUIREMENTS = "requirements.txt"
DECLARATION = "image.conf"
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
LEFT_OUT = frozenset(
    {
        # The eventlet half of the oslo libraries; the agent uses threads.
        *("dnspython", "eventlet", "greenlet"),
        # The web halves of oslo.service and oslo.metrics, and what they serve.
        *("jinja2", "markupsafe", "oslo-middleware", "paste", "pastedeploy", "prometheus-client", "repoze-lru"),
        *("legacy-cgi", "routes", "six", "statsd", "webob", "yappi"),
        # oslo.config's remote sources.
        *("certifi", "charset-normalizer", "requests", "urllib3"),
        # Only for making packages, or compiling C at run time.
        *("pbr", "pycparser", "pyparsing", "setuptools"),
        # Debian has the time zones.
        "tzdata",
    }
)
"""What the distributions require and the agent never imports."""
ENTRY_POINTS = "options.entry_points"
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
EPOCH = "315532800"
"""The time in wheels, so that the same source gives the same bytes."""


def make(
    selection: Selection, directory: Path, *, sources: Sequence[Path] = (), constraints: Path | None = None
) -> None:
    """Fill a directory with the wheels of a selection, pip's own to install them with, and the declaration.

    :param directory: a new or empty one.
    :param sources: checkouts whose distributions are used where they have the name; the others come from
        where pip finds packages.
    :param constraints: versions, in pip's form.
    :raises ImageError: a distribution cannot be had.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise NotFresh(path=directory)
    found = {name: folder for source in sources for name, folder in _distributions(source).items()}
    chosen = selection.distributions(_offers(found))
    _build([found[name] for name in chosen if name in found], directory)
    wanted = [*map(str, directory.glob("*.whl")), *(name for name in chosen if name not in found)]
    limits = ["--constraint", str(constraints)] if constraints else []
    _pip("wheel", *limits, "--find-links", str(directory), "--wheel-dir", str(directory), *wanted)
    for wheel in directory.glob("*.whl"):
        if _name(wheel) in LEFT_OUT:
            wheel.unlink()
    wheels = sorted(directory.glob("*.whl"))
    _write(directory / REQUIREMENTS, "".join(map(_requirement, wheels)))
    _write(directory / DECLARATION, selection.declaration)
    _pip("download", "--no-deps", "--dest", str(directory), "pip")


def clear(directory: Path) -> None:
    """Take out what :func:`make` put into a directory; repeating is safe."""
    for made in (*directory.glob("*.whl"), directory / REQUIREMENTS, directory / DECLARATION):
        made.unlink(missing_ok=True)


def datastore(directory: Path) -> str:
    """The one that the declaration of a wheelhouse names.

    :raises NoWheelhouse: the directory is none.
    """
    for needed in (REQUIREMENTS, DECLARATION):
        if not (directory / needed).is_file():
            raise NoWheelhouse(path=directory, missing=needed)
    return _read(directory / DECLARATION)["image"]["datastore"]


def wheels(directory: Path) -> list[metadata.Distribution]:
    """What a wheelhouse holds, as the wheels themselves describe it; nothing is installed or imported."""
    return list(metadata.distributions(path=[str(wheel) for wheel in sorted(directory.glob("*.whl"))]))


def python(directory: Path) -> str:
    """The version of Python that a wheelhouse is for: its compiled wheels', or, where there is none, this one."""
    for wheel in directory.glob("*.whl"):
        for tag in parse_wheel_filename(wheel.name)[3]:
            found = re.fullmatch(r"cp(\d)(\d+)", tag.abi)
            if found:
                return f"{found[1]}.{found[2]}"
    return OWN_PYTHON


def install(directory: Path, environment: Path) -> Path:
    """Make a virtual environment without pip from a wheelhouse, with no network, as the image's element does.

    :returns: its interpreter.
    """
    (pip,) = directory.glob("pip-*.whl")
    interpreter = environment / "bin" / "python"
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    run(
        [
            *(
                sys.executable,
                str(pip / "pip"),
                "--python",
                str(interpreter),
                "install",
                "--quiet",
                "--no-index",
                "--no-deps",
            ),
            *("--no-compile", "--no-cache-dir", "--disable-pip-version-check", "--root-user-action", "ignore"),
            *("--find-links", str(directory), "--require-hashes", "--requirement", str(directory / REQUIREMENTS)),
        ],
        environment={"PIP_CONFIG_FILE": os.devnull},
    )
    return interpreter


def _distributions(source: Path) -> dict[str, Path]:
    """Those of a checkout by their names."""
    found = {}
    for file in source.rglob("setup.cfg"):
        if any(part.startswith(".") or part in ("build", "dist") for part in file.relative_to(source).parts):
            continue
        name = _read(file).get("metadata", "name", fallback=None)
        if name:
            found[canonical(name)] = file.parent
    if not found:
        raise UnknownSource(path=source)
    return found


def _offers(distributions: Mapping[str, Path]) -> dict[tuple[str, str], str]:
    """What distributions of checkouts offer, by group and name."""
    offers = {}
    for distribution, folder in distributions.items():
        points = _read(folder / "setup.cfg")
        if points.has_section(ENTRY_POINTS):
            for group, lines in points.items(ENTRY_POINTS):
                for line in lines.strip().splitlines():
                    offers[group, line.partition("=")[0].strip()] = distribution
    return offers


def _read(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file)
    return parser


def _build(folders: Iterable[Path], directory: Path) -> None:
    """Build wheels from copies: setuptools writes where it builds."""
    with tempfile.TemporaryDirectory() as scratch:
        copies: list[str] = []
        for folder in folders:
            copy = Path(scratch) / str(len(copies))
            shutil.copytree(folder, copy, ignore=NOT_SOURCE)
            copies.append(str(copy))
        if copies:
            _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(directory), *copies)


def _pip(*arguments: str) -> None:
    run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        environment={"SOURCE_DATE_EPOCH": EPOCH},
    )


def _requirement(wheel: Path) -> str:
    name, version, _build, _tags = parse_wheel_filename(wheel.name)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _name(wheel: Path) -> str:
    return str(parse_wheel_filename(wheel.name)[0])


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)
