"""The families of the tree, as their authors describe them to the conformance kit."""

import importlib
from pathlib import Path

from guestagent.conformance.datastore import Datastore
from tests.support.redis import MISSING

DESCRIPTIONS = sorted((Path(__file__).parents[1] / "conformance").glob("test_*.py"))
FAMILIES: list[type[Datastore]] = [
    importlib.import_module(f"tests.conformance.{path.stem}").DATASTORE
    for path in DESCRIPTIONS
    if path.stem.removeprefix("test_") not in MISSING
]
