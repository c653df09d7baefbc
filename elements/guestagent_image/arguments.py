"""The command line of ``guestagent-image``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from guestagent_image import policy
from guestagent_image.building import COMPRESSIONS, DISKS, FORMS
from guestagent_image.selection import Selection

PROGRAM = "guestagent-image"
CHOSEN = ("backup", "archive", "replication", "storage", "module", "source", "constraint")
"""Options that choose what is in an image, beside the datastore."""


def parser() -> argparse.ArgumentParser:
    """Its commands and options."""
    made = argparse.ArgumentParser(prog=PROGRAM, description="Images of the guest agent runtime.")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_build(commands.add_parser("build", help="build an image with diskimage-builder; needs root"))
    _add_check(commands.add_parser("check", help="look for what must not be in an image; exit code 1 if it is"))
    _add_show(commands.add_parser("show", help="list what is in an image"))
    _add_wheelhouse(commands.add_parser("wheelhouse", help="make what an image's agent is installed from, and no more"))
    return made


def selection(given: argparse.Namespace) -> Selection:
    """What was chosen."""
    return Selection(
        datastore=given.datastore,
        backup=tuple(given.backup),
        archive=tuple(given.archive),
        replication=tuple(given.replication),
        storage=tuple(given.storage or ["local"]),
        modules=tuple(given.module or ["ping"]),
    )


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    """Read a command line; one that is wrong ends the program with 2."""
    made = parser()
    options = made.parse_args(given)
    if getattr(options, "wheelhouse", None) and any(getattr(options, name) for name in CHOSEN):
        made.error("--wheelhouse is chosen already; nothing can be added to it")
    return options


def _add_build(command: argparse.ArgumentParser) -> None:
    _add_choice(command).add_argument(
        "--wheelhouse", type=_directory, metavar="DIR", help="one that is made already, in the place of a choice"
    )
    command.add_argument("--os", default="debian", help="the operating system: the element guestagent-OS")
    command.add_argument("--release", default="bookworm", help="of the operating system")
    command.add_argument("--disk", default="mbr", choices=sorted(DISKS), help="how it is partitioned")
    command.add_argument("--package", action="append", default=[], help="another package of the operating system")
    command.add_argument("--elements", action="append", default=[], type=Path, metavar="DIR", help="more elements")
    command.add_argument("--compression", default="zstd", choices=list(COMPRESSIONS), help="of the image")
    command.add_argument("--output", "-o", required=True, type=_image, help="the image; it ends in .qcow2 or .raw")


def _add_check(command: argparse.ArgumentParser) -> None:
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("image", nargs="?", type=Path, help="needs root")
    place.add_argument("--directory", type=Path, help="a file system that is mounted already")
    command.add_argument("--json", action="store_true")


def _add_show(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", type=Path, help="needs root")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--cyclonedx", action="store_true", help="a bill of materials")


def _add_wheelhouse(command: argparse.ArgumentParser) -> None:
    _add_choice(command)
    command.add_argument("--output", "-o", required=True, type=Path, metavar="DIR", help="a new directory")


def _add_choice(command: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """What is in an image.

    :returns: where the datastore is said, or what says it otherwise.
    """
    chosen = command.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--datastore", help="the one datastore plugin")
    command.add_argument("--backup", action="append", default=[], metavar="NAME", help="a backup strategy")
    command.add_argument("--archive", action="append", default=[], metavar="NAME", help="an archive strategy")
    command.add_argument("--replication", action="append", default=[], metavar="NAME", help="a replication strategy")
    command.add_argument("--storage", action="append", metavar="NAME", help="a storage strategy, the first for logs")
    command.add_argument("--module", action="append", metavar="NAME", help="a driver for modules")
    command.add_argument(
        *("--source", "-s"),
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="a checkout whose distributions are used in the place of published ones",
    )
    command.add_argument("--constraint", type=Path, metavar="FILE", help="versions, in pip's form")
    command.add_argument("--experimental", action="store_true", help="take plugins that are experimental")
    command.add_argument(
        "--policy", type=Path, metavar="FILE", help=f"what may be on images; default: {policy.DEFAULT}"
    )
    return chosen


def _image(text: str) -> Path:
    path = Path(text).absolute()
    if path.suffix[1:] not in FORMS:
        raise argparse.ArgumentTypeError(f"the name must end in .{' or .'.join(FORMS)}")
    return path


def _directory(text: str) -> Path:
    return Path(text).absolute()
