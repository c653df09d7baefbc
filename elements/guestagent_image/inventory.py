"""What is in an image, read from its files; nothing of it is run or imported."""

import configparser
import dataclasses
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from guestagent_image.maturity import Maturity

AGENT = "opt/guestagent"
GROUPS = ("datastore", "backup", "archive", "replication", "storage", "module")
DECLARED_AS = {
    "datastore": "datastore",
    "backup": "backup_strategies",
    "archive": "archive_strategies",
    "replication": "replication_strategies",
    "storage": "storage_strategies",
    "module": "modules",
}
BUILT_IN = {"storage": "local", "module": "ping"}
"""What is declared where the file says nothing."""


@dataclasses.dataclass(frozen=True)
class Package:
    """A distribution of Python, or a package of Debian.

    :ivar bytes: on disk.
    :ivar licence: as its own metadata have it, or Debian's copyright file; empty where that is not for programs.
    :ivar maturity: the level of one that offers plugins; empty for others.
    """

    name: str
    version: str
    bytes: int
    licence: str = ""
    maturity: str = ""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """An image's content.

    :ivar system: the operating system's own name.
    :ivar agent_bytes: of the agent's directory, with its interpreter's modules.
    :ivar datastores: the distributions that offer a datastore.
    :ivar plugins: for each kind, the names that are installed.
    :ivar declared: for each kind, the names of ``image.conf``.
    """

    system: str
    agent_bytes: int
    distributions: list[Package]
    packages: list[Package]
    datastores: list[str]
    plugins: dict[str, list[str]]
    declared: dict[str, list[str]]


def read(root: Path) -> Inventory:
    """Read it below a directory."""
    found = list(metadata.distributions(path=[str(path) for path in site_packages(root)]))
    return Inventory(
        system=_system(root),
        agent_bytes=_size(path for path in (root / AGENT).rglob("*") if path.is_file() and not path.is_symlink()),
        distributions=sorted(map(_distribution, found), key=lambda package: package.name.lower()),
        packages=list(_packages(root)),
        datastores=sorted(each.metadata["Name"] for each in found if _offered([each], "datastore")),
        plugins={kind: _offered(found, kind) for kind in GROUPS},
        declared=_declared(root),
    )


def site_packages(root: Path) -> list[Path]:
    """Where the agent's distributions lie."""
    return list((root / AGENT / "lib").glob("python3*/site-packages"))


def offers_plugins(found: metadata.Distribution) -> bool:
    """Whether a distribution offers something to the agent."""
    return any(point.group.startswith("guestagent.") for point in found.entry_points)


def maturity(found: metadata.Distribution) -> Maturity:
    """The level that a distribution declares."""
    return Maturity.of(found.metadata.get_all("Classifier") or [])


def _system(root: Path) -> str:
    for line in (root / "etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip('"')
    return "unknown"


def _distribution(found: metadata.Distribution) -> Package:
    about = found.metadata
    classifiers = [line.rpartition(":: ")[2] for line in about.get_all("Classifier") or [] if "License ::" in line]
    fields = [about["License-Expression"], " and ".join(classifiers), about["License"]]
    licence = next((field for field in fields if field), "")
    files = (Path(str(file.locate())) for file in found.files or [])
    size = _size(path for path in files if path.is_file())
    level = maturity(found).value if offers_plugins(found) else ""
    return Package(about["Name"], about["Version"], size, licence.strip().partition("\n")[0], level)


def _packages(root: Path) -> Iterable[Package]:
    """Debian's, from its database; sizes there are KiB."""
    status = root / "var/lib/dpkg/status"
    for paragraph in status.read_text().split("\n\n") if status.exists() else []:
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") == "install ok installed":
            size = int(fields.get("Installed-Size", "0")) * 1024
            yield Package(fields["Package"], fields["Version"], size, _debian_licence(root, fields["Package"]))


def _debian_licence(root: Path, package: str) -> str:
    """All that a package's files are under, where its copyright file is in Debian's format 1.0 for programs."""
    path = root / "usr/share/doc" / package / "copyright"
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        # A link that is absolute leads to this machine's file, which is about another package's version.
        return ""
    lines = path.read_text(errors="replace").splitlines()
    if not lines or not lines[0].startswith("Format:"):
        return ""
    names = (line.removeprefix("License:").strip() for line in lines if line.startswith("License:"))
    return ", ".join(sorted(set(filter(None, names))))


def _offered(found: Iterable[metadata.Distribution], kind: str) -> list[str]:
    group = f"guestagent.{kind}"
    return sorted(point.name for each in found for point in each.entry_points if point.group == group)


def _declared(root: Path) -> dict[str, list[str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / "etc/guestagent/image.conf")
    return {
        kind: [
            name.strip()
            for name in parser.get("image", option, fallback=BUILT_IN.get(kind, "")).split(",")
            if name.strip()
        ]
        for kind, option in DECLARED_AS.items()
    }


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
