"""Distributions made for a test, as an installer would leave them, and interpreters that see them."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOAD = """
import json, logging, sys

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
from guestagent.system import threads
threads.select()
from oslo_config import cfg
from guestagent import conf
from guestagent.plugins.declaration import Declaration
from guestagent.plugins.errors import PluginError
from guestagent.plugins.loader import load

conf.load(cfg.CONF, sys.argv[1:], "test")
try:
    loaded = load(Declaration.read(cfg.CONF))
except PluginError as error:
    sys.stderr.write(str(error))
    sys.exit(error.exit_code)
classes = {kind: {name: found.__qualname__ for name, found in getattr(loaded, kind).items()}
           for kind in ("backup", "replication", "storage", "modules")}
print(json.dumps({
    "manager": loaded.manager.__qualname__,
    "datastore": loaded.declaration.datastore,
    "classes": classes,
    "description": loaded.description,
}))
"""

MANAGER = """
from guestagent.manager import BaseDatastoreManager

class Manager(BaseDatastoreManager):
    pass
"""

GUEST_INFO = {"guest_id": "5c97687d-cddb-4fe1-9f0a-1f343ab75dc6", "datastore_manager": "alpha"}


class Site:
    """A directory of installed distributions, in front of what the tests' interpreter has.

    :param directory: takes the distributions, and whatever they write.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cache = directory / "cache"

    def install(
        self,
        name: str,
        modules: Mapping[str, str],
        entry_points: Mapping[str, Mapping[str, str]],
        *,
        version: str = "1.0",
        requires: Sequence[str] = ("guestagent",),
        classifiers: Sequence[str] = (),
    ) -> None:
        """Make a distribution.

        :param modules: top-level modules and their source.
        :param entry_points: group to name to ``module:Class``.
        :param requires: requirement specifiers.
        :param classifiers: what it says of itself.
        """
        for module, source in modules.items():
            (self.directory / f"{module}.py").write_text(textwrap.dedent(source))
        described = self.directory / f"{name.replace('-', '_')}-{version}.dist-info"
        described.mkdir()
        about = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {requirement}" for requirement in requires)]
        about += [f"Classifier: {classifier}" for classifier in classifiers]
        (described / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *about, ""]))
        lines: list[str] = []
        for group, offered in entry_points.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in offered.items())]
        (described / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def poisoned(self, module: str) -> str:
        """Source that leaves a mark when it is imported."""
        return f"import pathlib\npathlib.Path({str(self.mark(module))!r}).touch()\n"

    def mark(self, module: str) -> Path:
        """The mark of a poisoned module."""
        return self.directory / f"{module}.was-imported"

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a fresh interpreter that sees the distributions."""
        variables = {**os.environ, "PYTHONPATH": str(self.directory), "XDG_CACHE_HOME": str(self.cache)}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**variables, **(environment or {})},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def load(
        self, image: Mapping[str, str], injected: Mapping[str, str] = GUEST_INFO
    ) -> subprocess.CompletedProcess[str]:
        """Load what an image declares; on success the output is JSON for :func:`loaded`."""
        return self.run("-c", LOAD, "--config-file", str(self.configure(image, injected)))

    def configure(self, image: Mapping[str, str], injected: Mapping[str, str] = GUEST_INFO) -> Path:
        """A file with an image's declaration and what the control plane injects."""
        sections = {"DEFAULT": injected, "image": {"modules": "", "storage_strategies": "", **image}}
        lines: list[str] = []
        for section, values in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
        file = self.directory / "agent.conf"
        file.write_text("\n".join(lines) + "\n")
        return file


def loaded(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a successful :meth:`Site.load` loaded."""
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def refused(process: subprocess.CompletedProcess[str], exit_code: int, *words: str) -> None:
    """Check that loading was refused for one reason, in one line that holds the words."""
    assert process.returncode == exit_code, process.stderr
    sentence = process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in sentence
