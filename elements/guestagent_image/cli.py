"""``guestagent-image``: exit code 0 done, 1 the image is wrong or was not made, 2 the command line is wrong."""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from guestagent_image import arguments, building, checks, cyclonedx, disk, fitting, inventory, policy, table, wheelhouse
from guestagent_image.errors import ImageError


def main(given: Sequence[str] | None = None) -> int:
    """Carry out a command line."""
    options = arguments.parse(given)
    commands = {"build": _build, "check": _check, "show": _show, "wheelhouse": _wheelhouse}
    try:
        return commands[options.command](options)
    except ImageError as error:
        sys.stderr.write(f"{arguments.PROGRAM}: {error}\n")
        return 1


def _build(options: argparse.Namespace) -> int:
    rules = policy.read(options.policy)
    recipe = building.Recipe(
        system=options.os,
        release=options.release,
        datastore=options.datastore or wheelhouse.datastore(options.wheelhouse),
        disk=options.disk,
        packages=tuple(options.package),
        elements=tuple(path.absolute() for path in options.elements),
        compression=options.compression,
    )
    if options.wheelhouse:
        policy.judge(wheelhouse.wheels(options.wheelhouse), rules, experimental=options.experimental)
    recipe.check(wheelhouse.python(options.wheelhouse) if options.wheelhouse else wheelhouse.OWN_PYTHON)
    progress = Progress()
    if options.wheelhouse:
        _fit(options.wheelhouse, progress)
    with tempfile.TemporaryDirectory(prefix="guestagent-wheels-") as scratch:
        if not options.wheelhouse:
            _fill(options, rules, Path(scratch), progress)
        building.build(recipe, options.wheelhouse or Path(scratch), options.output, progress.tell)
    progress.tell(f"{options.output} is there, {table.mib(options.output.stat().st_size)} MiB")
    return 0


def _wheelhouse(options: argparse.Namespace) -> int:
    _fill(options, policy.read(options.policy), options.output, Progress())
    return 0


def _fill(options: argparse.Namespace, rules: policy.Policy, directory: Path, progress: "Progress") -> None:
    """Make a wheelhouse; one that is refused is not left to be built from."""
    selection = arguments.selection(options)
    progress.tell("wheels")
    wheelhouse.make(selection, directory, sources=options.source, constraints=options.constraint)
    try:
        policy.judge(wheelhouse.wheels(directory), rules, experimental=options.experimental)
        _fit(directory, progress)
    except ImageError:
        wheelhouse.clear(directory)
        raise


def _fit(directory: Path, progress: "Progress") -> None:
    """Refuse a wheelhouse whose agent would not start."""
    python = wheelhouse.python(directory)
    if python != wheelhouse.OWN_PYTHON:
        progress.tell(f"wheels for Python {python}, which were found to fit together where they were made")
        return
    names = (f"{wheel.name}=={wheel.version}" for wheel in wheelhouse.wheels(directory))
    progress.tell(f"{', '.join(name for name in names if name.startswith('guestagent'))}: do they fit together?")
    fitting.check(directory)


def _check(options: argparse.Namespace) -> int:
    if options.directory:
        found = checks.check(options.directory, checks.Builder.of(os.environ))
    else:
        with disk.mounted(options.image) as root:
            found = checks.check(root, checks.Builder())
    if options.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2) + "\n")
    else:
        for finding in found:
            sys.stdout.write(f"{finding.id}: {finding.path}: {finding.sentence}\n")
    return 1 if found else 0


def _show(options: argparse.Namespace) -> int:
    with disk.mounted(options.image) as root:
        found = inventory.read(root)
    if options.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    elif options.cyclonedx:
        sys.stdout.write(json.dumps(cyclonedx.bill(found, options.image.name), indent=2) + "\n")
    else:
        sys.stdout.write(table.text(found))
    return 0


class Progress:
    """Tells people what is being done, and since when."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def tell(self, step: str) -> None:
        """Say that a step begins."""
        sys.stderr.write(f"[{time.monotonic() - self._began:5.0f} s] {step}\n")
        sys.stderr.flush()
