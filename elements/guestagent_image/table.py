"""An inventory for people."""

from collections.abc import Iterator, Sequence

from guestagent_image.inventory import Inventory, Package

LARGEST = 20
"""How many of the system's packages are shown; ``--json`` has all."""
MIB = 1 << 20


def text(inventory: Inventory) -> str:
    """The page."""
    packages = sorted(inventory.packages, key=lambda package: -package.bytes)
    return "\n".join(
        [
            f"{inventory.system}, {len(packages)} packages, {mib(sum(package.bytes for package in packages))} MiB;"
            f" the agent {mib(inventory.agent_bytes)} MiB",
            "",
            *_rows(["PLUGINS", "DECLARED", "INSTALLED"], _plugins(inventory)),
            "",
            *_rows(["DISTRIBUTION", "VERSION", "MIB", "MATURITY", "LICENCE"], map(_row, inventory.distributions)),
            "",
            *_rows(["LARGEST PACKAGES", "VERSION", "MIB", "", ""], map(_row, packages[:LARGEST])),
            "",
        ]
    )


def mib(size: int) -> str:
    """Bytes in MiB."""
    return f"{size / MIB:.1f}"


def _plugins(inventory: Inventory) -> Iterator[Sequence[str]]:
    for kind, names in inventory.plugins.items():
        yield kind, ", ".join(inventory.declared[kind]) or "-", ", ".join(names) or "-"


def _row(package: Package) -> Sequence[str]:
    return package.name, package.version, mib(package.bytes), package.maturity, package.licence


def _rows(head: Sequence[str], rows: "Iterator[Sequence[str]]") -> list[str]:
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]
