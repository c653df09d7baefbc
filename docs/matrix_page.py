"""``matrix.md``: which calls the datastores of this tree support, from their classes."""

import configparser
from collections.abc import Iterator
from pathlib import Path

from guestagent import contract
from guestagent.contract.call import declared_by
from guestagent.plugins.matrix import Column, columns

DATASTORES = Path(__file__).parents[1] / "datastores"

OPENING = """\
# The matrix: calls and datastores

This page is written by `python -m docs.generate` from the classes of the plugins in `datastores/`; a test fails when
it is stale. `guestagentctl plugins --matrix` shows the same of what is installed.

A call that a datastore does not support is answered `call.not-supported`. **since** is the version of the contract
that brought the call; what each does is told in [contract.md](contract.md). `create_backup` also needs a backup
strategy for the datastore on the image, `archive_logs` and `recovery_window` an archive strategy.

**Maturity** is what the package declares by a classifier: `experimental`, `technical-preview` or `stable`, see
[images.md](images.md#maturity-and-policy). By which rules a plugin comes to a level is not written yet, so that none of
these is stable.
"""


def page() -> str:
    """The whole page."""
    found = [column for column in columns() if column.distribution in _distributions()]
    return "\n".join([OPENING.rstrip(), *_datastores(found), *_calls(found), ""])


def _distributions() -> set[str]:
    """The names of the distributions in the tree; one may bring several datastores."""
    parser = configparser.ConfigParser()
    names = set()
    for settings in DATASTORES.glob("*/setup.cfg"):
        parser.read(settings)
        names.add(parser["metadata"]["name"])
    return names


def _datastores(found: list[Column]) -> Iterator[str]:
    yield "\n## Datastores\n"
    yield "| datastore | package | version | calls | maturity |"
    yield "| --- | --- | --- | --- | --- |"
    for column in found:
        calls = f"{len(column.supported)} of {len(contract.CALLS)}"
        cells = [column.name, f"`{column.distribution}`", column.version or "", calls, column.maturity.value]
        yield f"| {' | '.join(cells)} |"


def _calls(found: list[Column]) -> Iterator[str]:
    for capability in contract.CAPABILITIES:
        yield f"\n## {capability.__name__}\n"
        yield f"| call | since | {' | '.join(column.name for column in found)} |"
        yield f"| --- | --- | {' | '.join('---' for _ in found)} |"
        for declared in declared_by(capability):
            marks = ["yes" if declared in column.supported else "no" for column in found]
            yield f"| `{declared.name}` | {declared.since} | {' | '.join(marks)} |"
