"""The command line of ``guestagent-image``."""

import argparse
from pathlib import Path

from guestagent_image.building import COMPRESSIONS, DISKS, FORMS
from guestagent_image.selection import Selection

PROGRAM = "guestagent-image"


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


def _add_build(command: argparse.ArgumentParser) -> None:
    _add_selection(command)
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
    _add_selection(command)
    command.add_argument("--output", "-o", required=True, type=Path, metavar="DIR", help="a new directory")


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("--datastore", required=True, help="the one datastore plugin")
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


def _image(text: str) -> Path:
    path = Path(text).absolute()
    if path.suffix[1:] not in FORMS:
        raise argparse.ArgumentTypeError(f"the name must end in .{' or .'.join(FORMS)}")
    return path
