"""Backups that cannot be made: each for a reason of its own, told, and to the harm of nothing that was good."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from guestagent.system import command
from tests.functional.service.hoarder import Hoarder

EXCHANGE = f"trove-refused-{uuid.uuid4().hex[:8]}"

Bad = Callable[[Hoarder, contextlib.ExitStack], dict[str, Any]]
"""Spoils something until the stack is left, and says what is asked for then."""


@pytest.fixture(scope="module")
def hoarder(rabbit: Rabbit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hoarder]:
    """A guest with a backup and another one that builds on it; the tests of the module share it."""
    rabbit.start()
    directory = tmp_path_factory.mktemp("hoarder")
    with (
        Wire(rabbit, EXCHANGE) as wire,
        Conductor(rabbit, EXCHANGE) as conductor,
        Hoarder.running(directory, rabbit, EXCHANGE, wire, conductor) as made,
    ):
        yield made


def rewrite(path: Path, **fields: Any) -> None:
    """Change a manifest in a store."""
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **fields}))


def mounted(hoarder: Hoarder, stack: contextlib.ExitStack, options: str) -> None:
    """Have the store on a file system of its own."""
    hoarder.agent.storage_dir.mkdir(exist_ok=True)
    command.run(["mount", "-t", "tmpfs", "-o", options, "none", str(hoarder.agent.storage_dir)], timeout=60)
    stack.callback(command.run, ["umount", str(hoarder.agent.storage_dir)], timeout=60)


def full(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    mounted(hoarder, stack, "size=1m,mode=700")
    return {}


def read_only(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    mounted(hoarder, stack, "size=8m,mode=700,ro")
    return {}


def elsewhere(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"backup_id": "../../../elsewhere"}


def elsewhere_altogether(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"swift_container": "../elsewhere"}


def taken(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"backup_id": _anothers(hoarder, instance_id="another")}


def taken_by_a_newer_one(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"backup_id": _anothers(hoarder, schema=99)}


def _anothers(hoarder: Hoarder, **fields: Any) -> str:
    """A backup that is in the store, and that this guest has never heard of."""
    made = str(uuid.uuid4())
    source = hoarder.container / str(hoarder.made()["backup_id"])
    source.rename(hoarder.container / made)
    source.with_suffix(".backup").unlink()
    rewrite(hoarder.container / made / "manifest.json", id=made, **fields)
    return made


def parent_gone(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"parent": {"location": "local://database_backups/gone.backup", "checksum": "0"}}


def parents_parent_gone(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    first = hoarder.made()
    second = hoarder.made(parent={"location": first["location"], "checksum": first["checksum"]})
    (hoarder.container / str(first["backup_id"]) / "manifest.json").unlink()
    return {"parent": {"location": second["location"], "checksum": second["checksum"]}}


def parent_is_newer(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    first = hoarder.made()
    rewrite(hoarder.container / str(first["backup_id"]) / "manifest.json", schema=99)
    return {"parent": {"location": first["location"], "checksum": first["checksum"]}}


def unknown_store(hoarder: Hoarder, stack: contextlib.ExitStack) -> dict[str, Any]:
    return {"storage_driver": "punched-cards"}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (full, "the store has no room"),
        (read_only, "the store cannot be written to"),
        (elsewhere, "The backup id '../../../elsewhere' cannot be used"),
        (elsewhere_altogether, "The container name '../elsewhere' cannot be used"),
        (taken, "it has the data of instance another; it stays as it is"),
        (taken_by_a_newer_one, "a newer agent wrote it (schema 99"),
        (parent_gone, "builds on 'local://database_backups/gone.backup', which is not in the store any more"),
        (parents_parent_gone, "which is not in the store any more"),
        (parent_is_newer, "a newer agent wrote it (schema 99"),
        (unknown_store, "The storage 'punched-cards' cannot be used"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_it_says_why_and_nothing_is_harmed(hoarder: Hoarder, bad: Bad, said: str) -> None:
    with contextlib.ExitStack() as stack:
        asked = bad(hoarder, stack)
        before = hoarder.store()
        heard = hoarder.ask(**asked)
        ended = hoarder.end(heard)
        assert ended.method == "notify_exc_info"
        assert said in ended.args["message"]
        assert hoarder.states(heard)[-1] == "FAILED"
        assert "COMPLETED" not in hoarder.states(heard)
        assert hoarder.store() == before
        assert hoarder.left() == []
        assert hoarder.workers() == []
    hoarder.made()
    assert hoarder.stream() == hoarder.content(1)


def test_a_backup_that_is_asked_for_twice_is_made_once_and_stays_good(hoarder: Hoarder) -> None:
    heard = hoarder.ask()
    hoarder.ask(hoarder.backup_id)
    assert hoarder.end(heard).method == "notify_end"
    before = hoarder.store()
    hoarder.ask(hoarder.backup_id)
    hoarder.made(parent=None, name="another")
    assert {name: content for name, content in hoarder.store().items() if name in before} == before
    states = hoarder.states(heard)
    assert states == ["BUILDING", "COMPLETED"] * 2
