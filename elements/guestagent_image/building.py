"""An image, built by diskimage-builder from the elements of this distribution."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from guestagent_image.errors import OtherPython, ToolFailed, UnknownElement
from guestagent_image.tools import need, tail

PROGRAM = "disk-image-create"
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""The Python of each release; wheels have to be made for it."""
PHASES = re.compile(r"Running hooks from \S+/(?P<host>[a-z-]+)\.d|dib-run-parts Running \S+/(?P<hook>[a-z-]+\.d/\S+)")
COMPRESSIONS = {
    # Each cluster is compressed by itself. Larger ones would gain little more, and a read unpacks a whole one.
    "zstd": ("--qemu-img-options", "compression_type=zstd,cluster_size=256K"),
    "zlib": (),
    "none": ("-u",),
}
"""Options of diskimage-builder, whose own choice is zlib: every QEMU reads that, and zstd since 5.1."""
FORMS = ("qcow2", "raw")
"""Of the file; its name ends so."""
DISKS = {"mbr": "block-device-mbr", "gpt": "block-device-gpt", "efi": "block-device-efi"}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What diskimage-builder is asked for.

    :ivar system: the element ``guestagent-SYSTEM``.
    :ivar release: of the system.
    :ivar datastore: the element ``guestagent-DATASTORE``.
    :ivar disk: how it is partitioned, a key of DISKS.
    :ivar packages: more packages of the system.
    :ivar elements: directories with more elements.
    :ivar compression: of the image's clusters, a key of COMPRESSIONS; a raw image has none.
    """

    system: str
    release: str
    datastore: str
    disk: str = "mbr"
    packages: tuple[str, ...] = ()
    elements: tuple[Path, ...] = ()
    compression: str = "zstd"

    def check(self, python: str) -> None:
        """Find out what would end the build, before it begins.

        :param python: the version of Python that the wheels are for.
        :raises ImageError: an element or a program is not there, or wheels would not fit.
        """
        places = self.places
        known = sorted(path.name for place in places for path in place.glob("guestagent*") if _is_element(path))
        for name in (f"guestagent-{self.system}", f"guestagent-{self.datastore}"):
            if name not in known:
                raise UnknownElement(name=name, known=", ".join(known))
        wanted = PYTHONS.get(self.release)
        if wanted and wanted != python:
            raise OtherPython(release=self.release, wanted=wanted, found=python)
        for program, package in (("debootstrap", "debootstrap"), ("qemu-img", "qemu-utils"), ("sudo", "sudo")):
            need(program, package)

    @property
    def places(self) -> list[Path]:
        """Where elements are looked for."""
        return [*self.elements, own_elements()]


def own_elements() -> Path:
    """Where the elements of this distribution are: installed with it, or beside it in a checkout."""
    checkout = Path(__file__).parents[1]
    return checkout if _is_element(checkout / "guestagent-debian") else Path(sys.prefix, "share/guestagent/elements")


def build(recipe: Recipe, wheelhouse: Path, output: Path, progress: Callable[[str], None]) -> None:
    """Build it; what diskimage-builder says goes into a file beside the image, with the ending ``.log``.

    :param output: the image; one that is there is replaced when the new one is complete.
    :param progress: is told of each step.
    :raises ToolFailed: the build ended with an error; its last lines.
    """
    environment = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}",
        "ELEMENTS_PATH": ":".join(map(str, recipe.places)),
        "DIB_RELEASE": recipe.release,
        "DIB_GUESTAGENT_WHEELHOUSE": str(wheelhouse),
    }
    log = output.with_name(f"{output.name}.log")
    # A name with the ending is taken as it is, and what is there already would stay.
    argv = [*command(recipe), "-o", str(output.with_suffix("")), "-t", output.suffix[1:]]
    with log.open("w") as record:
        process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None  # noqa: S101 - for mypy
        for line in process.stdout:
            record.write(line)
            step = phase(line)
            if step:
                progress(step)
        code = process.wait()
    if code:
        raise ToolFailed(program=PROGRAM, problem=f"exit code {code}; {log} has all of it\n{tail(log.read_text())}")
    shutil.rmtree(output.with_suffix(".d"), ignore_errors=True)


def phase(line: str) -> str | None:
    """The step that a line of diskimage-builder's tells the beginning of."""
    found = PHASES.search(line)
    if found:
        return found["host"] or found["hook"]
    return "convert" if line.endswith("Converting image using qemu-img convert\n") else None


def command(recipe: Recipe) -> Sequence[str]:
    """The program, its options and the elements.

    :raises ToolFailed: the program is not there.
    """
    program = shutil.which(PROGRAM, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        raise ToolFailed(program=PROGRAM, problem="it is not installed: pip install 'guestagent-elements[build]'")
    options = ["-n", *COMPRESSIONS[recipe.compression]]
    packages = ["-p", ",".join(recipe.packages)] if recipe.packages else []
    elements = [f"guestagent-{recipe.system}", f"guestagent-{recipe.datastore}", "vm", DISKS[recipe.disk]]
    return [program, *options, *packages, *elements]


def _is_element(path: Path) -> bool:
    return (path / "element-deps").is_file()
