"""A journal in the test's own directory, and what is put into it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestagent.operations.journal import Journal
from guestagent.operations.store import Store
from guestagent.operations.vault import Vault

KEEP = 100


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the file as an agent does that starts now; all are closed when the test ends."""
    made: list[Store] = []

    def open_one() -> Store:
        made.append(Store(tmp_path))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def open_journal(open_store: Callable[[], Store], tmp_path: Path) -> Callable[[], Journal]:
    """The journal as an agent finds it that starts now."""
    return lambda: Journal(open_store(), Vault(tmp_path), lambda: KEEP)


@pytest.fixture
def journal(open_journal: Callable[[], Journal]) -> Journal:
    return open_journal()
