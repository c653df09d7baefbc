"""A backup whose stream can be made again goes on where an agent, or its worker, has died."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.code_path import PATH
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from guestagent.contract.operations import CodePath
from tests.functional.service.hoarder import SEGMENT, Hoarder

SLOW = 200_000


@pytest.fixture
def hoarder(tmp_path: Path, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[Hoarder]:
    with Hoarder.running(tmp_path, broker, exchange, wire, conductor, SLOW) as made:
        yield made


def test_what_is_in_the_store_is_not_sent_again(hoarder: Hoarder) -> None:
    hoarder.begin()
    hoarder.agent.kill()
    # The data have gone on; what the backup is made of has not.
    hoarder.write(2)
    before, heard = hoarder.segments(), len(hoarder.conductor.reports)
    hoarder.hurry()
    hoarder.agent.boot(hoarder.wire)
    ended = hoarder.end(heard)
    if PATH is CodePath.CONVERGENCE:
        assert (ended.method, hoarder.states(heard)[-1]) == ("notify_end", "COMPLETED")
        assert hoarder.stream() == hoarder.content(1)
        after = hoarder.segments()
        assert len(after) > len(before)
        assert {name: after[name] for name in before} == before
    else:
        assert (ended.method, hoarder.states(heard)) == ("notify_exc_info", ["FAILED"])
        assert hoarder.store() == {}
    assert hoarder.left() == []


def test_a_stream_that_has_become_another_one_begins_anew(hoarder: Hoarder) -> None:
    hoarder.begin()
    hoarder.agent.kill()
    before, heard = hoarder.segments(), len(hoarder.conductor.reports)
    with (hoarder.agent.state_dir / "draft" / "kept" / "data").open("r+b") as stream:
        stream.seek(SEGMENT * 2)
        stream.write(b"something else")
    hoarder.write(3)
    hoarder.hurry()
    hoarder.agent.boot(hoarder.wire)
    ended = hoarder.end(heard)
    if PATH is CodePath.CONVERGENCE:
        assert (ended.method, hoarder.states(heard)[-1]) == ("notify_end", "COMPLETED")
        assert "it begins anew" in hoarder.agent.text()
        assert hoarder.stream() == hoarder.content(3)
        assert not set(hoarder.segments().values()) & set(before.values())
    assert hoarder.left() == []


def test_a_worker_that_dies_fails_its_backup_and_nothing_stays(hoarder: Hoarder) -> None:
    heard = len(hoarder.conductor.reports)
    hoarder.begin()
    hoarder.kill_worker()
    ended = hoarder.end(heard)
    assert (ended.method, hoarder.states(heard)) == ("notify_exc_info", ["BUILDING", "FAILED"])
    assert "SIGKILL" in ended.args["message"]
    assert hoarder.left() == []
    assert hoarder.store() == {}
