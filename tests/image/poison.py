"""Every other plugin of this tree, installed in an image, and deadly to whoever imports it."""

import configparser
from collections.abc import Iterator
from pathlib import Path

from guestagent_image import inventory

from tests.support.environments import ROOT

MARKER = Path("/var/lib/poisoned")
CODE = f"""\
import os, pathlib
pathlib.Path({str(MARKER)!r}).touch()
os.abort()
"""
PLACES = ("datastores/*", "strategies/*/*", "examples/*", "tests/support/*")


def install(root: Path) -> list[str]:
    """Install all plugins of the tree that the image does not have.

    :returns: their distributions.
    """
    (site,) = inventory.site_packages(root)
    there = {package.name for package in inventory.read(root).distributions}
    poisoned = []
    for found in _plugins():
        name = found["metadata"]["name"]
        if name in there:
            continue
        groups = dict(found["options.entry_points"])
        about = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        lines = [f"[{group}]\n{points.strip()}\n" for group, points in groups.items()]
        (about / "entry_points.txt").write_text("\n".join(lines))
        for package in found["options"]["packages"].split():
            (site / package).mkdir()
            (site / package / "__init__.py").write_text(CODE)
        poisoned.append(name)
    return poisoned


def declare(root: Path, option: str, name: str) -> None:
    """Let the image declare one of them."""
    file = root / "etc/guestagent/image.conf"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{option} =")]
    file.write_text("\n".join([*lines, f"{option} = {name}"]) + "\n")


def _plugins() -> Iterator[configparser.ConfigParser]:
    for place in PLACES:
        for file in sorted(ROOT.glob(f"{place}/setup.cfg")):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(file)
            if parser.has_section("options.entry_points"):
                yield parser
