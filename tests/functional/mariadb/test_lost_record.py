"""An agent that has lost its record finds out from the machine what it serves, and guesses nothing more."""

from pathlib import Path

import pytest

from guestagent.contract.operations import CodePath
from guestagent.contract.states import Phase, ServiceStatus, Wanted
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.recovery import adopt
from guestagent.operations.store import Store
from tests.functional.mariadb.machine import Machine, machine, prepare
from tests.support.authority import Authority
from tests.support.machine import CONTEXT


def lose_record(made: Machine) -> None:
    for path in made.state_dir.glob("journal.db*"):
        path.unlink()


def recovered(made: Machine) -> InstanceRecord:
    """The record of an agent that starts now."""
    store = Store(made.state_dir)
    record = InstanceRecord(store)
    adopt(store, record, made.manager().recognise)
    return record


def test_a_prepared_instance_is_recognised(tmp_path: Path) -> None:
    with machine() as made:
        prepare(made.manager())
        lose_record(made)
        found = recovered(made).current
        assert (found.phase, found.wanted, found.code_path) == (Phase.READY, Wanted.RUNNING, CodePath.LEGACY)
        assert (found.read_only, found.tls_mode) == (False, None)
        manager = made.manager()
        assert manager.reported_status() is ServiceStatus.HEALTHY
        # A second prepare finds it, and leaves it alone.
        pid = made.processes.pid(manager.service())
        prepare(manager)
        assert made.processes.pid(manager.service()) == pid


@pytest.mark.parametrize("mode", ["basic", "enforced", "mtls"])
def test_so_is_what_it_was_set_to(mode: str) -> None:
    with machine() as made:
        manager = made.manager()
        prepare(manager)
        manager.ssl_action(CONTEXT, mode=mode, container=Authority().container("db.example.com"), enable=1)
        manager.restart(CONTEXT)
        manager.make_read_only(CONTEXT, True)
        lose_record(made)
        found = recovered(made).current
        assert (found.read_only, found.tls_mode) == (True, mode)


def test_a_damaged_record_is_no_reason_to_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    with machine() as made:
        prepare(made.manager())
        for path in made.state_dir.glob("journal.db-*"):
            path.unlink()
        (made.state_dir / "journal.db").write_bytes(b"no journal" * 1000)
        assert recovered(made).current.phase is Phase.READY
        assert "is damaged" in caplog.text
        assert "taken for a prepared one" in caplog.text


def test_a_kept_volume_on_a_new_machine_is_not_taken_for_a_prepared_instance() -> None:
    with machine() as made:
        manager = made.manager()
        prepare(manager)
        manager.stop_server()
        lose_record(made)
        # The root disk is new: what only the old one knew is gone.
        made.manager().administrator.credentials.unlink()
        assert recovered(made).current.phase is Phase.NEW


def test_a_machine_without_anything_is_new() -> None:
    with machine() as made:
        made.state_dir.mkdir(mode=0o700)
        assert recovered(made).current.phase is Phase.NEW
