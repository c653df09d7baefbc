"""An agent that has lost its record finds out from the machine what it serves, and guesses nothing more."""

import shutil

import pytest

from guestagent.contract.states import Phase, ServiceStatus, Wanted
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.recovery import adopt
from guestagent.operations.store import Store
from tests.functional.postgresql.machine import Machine, machine, prepare
from tests.support.authority import Authority
from tests.support.machine import CONTEXT


def recovered(made: Machine) -> InstanceRecord:
    """The record of an agent that starts now, and has none."""
    for path in made.state_dir.glob("journal.db*"):
        path.unlink()
    store = Store(made.state_dir)
    record = InstanceRecord(store)
    adopt(store, record, made.manager().recognise)
    return record


def test_a_prepared_instance_is_recognised_with_what_it_was_set_to() -> None:
    with machine() as made:
        prepare(made.manager())
        found = recovered(made).current
        assert (found.phase, found.wanted, found.read_only, found.tls_mode) == (
            Phase.READY,
            Wanted.RUNNING,
            False,
            None,
        )
        manager = made.manager()
        assert manager.reported_status() is ServiceStatus.HEALTHY
        for mode in ("basic", "enforced", "mtls"):
            manager.ssl_action(CONTEXT, mode=mode, container=Authority().container("db.example.com"), enable=1)
            manager.make_read_only(CONTEXT, mode != "enforced")
            found = recovered(made).current
            assert (found.read_only, found.tls_mode) == (mode != "enforced", mode)
            manager = made.manager()


@pytest.mark.parametrize("prepared", [True, False])
def test_a_kept_volume_on_a_new_machine_and_an_empty_one_are_new(prepared: bool) -> None:
    with machine() as made:
        if prepared:
            manager = made.manager()
            prepare(manager)
            manager.stop_server()
            # The root disk is new: what only the old one knew is gone.
            shutil.rmtree(made.conf.postgresql.config_dir)
        made.state_dir.mkdir(mode=0o700, exist_ok=True)
        assert recovered(made).current.phase is Phase.NEW
