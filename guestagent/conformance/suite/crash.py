"""The agent is killed in the middle of an operation, and the next one makes of it what the code path says."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from guestagent.conformance.claims import claims
from guestagent.conformance.code_path import PATH
from guestagent.conformance.guest import Guest, MakeGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite import backups, databases, modules, users
from guestagent.contract.operations import CodePath


@dataclasses.dataclass(frozen=True)
class Case:
    """One operation.

    :ivar arguments: of the call.
    :ivar effect: whether it has come to what it should.
    :ivar undo: makes the guest what it was.
    """

    arguments: Callable[[Guest], Mapping[str, Any]]
    effect: Callable[[Guest], bool]
    undo: Callable[[Guest], object] = lambda guest: None


def _take_overrides_back(guest: Guest) -> None:
    guest.do("update_overrides", overrides={}, remove=True)
    guest.do("restart")


CASES = {
    "restart": Case(lambda guest: {}, lambda guest: guest.status() == "healthy"),
    "stop_db": Case(
        lambda guest: {}, lambda guest: guest.status() == "shutdown", undo=lambda guest: guest.do("restart")
    ),
    "create_database": Case(
        lambda guest: {"databases": [{"_name": "crashed"}]},
        lambda guest: "crashed" in databases.names(guest),
        undo=lambda guest: guest.do("delete_database", database={"_name": "crashed"}),
    ),
    "create_user": Case(
        lambda guest: {"users": [users.user("crashed")]},
        lambda guest: "crashed" in users.names(guest),
        undo=lambda guest: users.drop(guest, "crashed"),
    ),
    "update_overrides": Case(
        lambda guest: {"overrides": guest.datastore.restart.overrides if guest.datastore.restart else {}},
        lambda guest: guest.status() == "healthy",
        undo=_take_overrides_back,
    ),
    "module_apply": Case(
        lambda guest: {"modules": [modules.module()]},
        lambda guest: len(guest.do("module_list")) == 1,
        undo=lambda guest: guest.do("module_remove", module=modules.module()),
    ),
    "create_backup": Case(
        lambda guest: {"backup_info": backups.wanted(guest)},
        lambda guest: guest.conductor.of(guest.id, "update_backup")[-1].args["state"] == "COMPLETED",
    ),
}


class TestCrash:
    """On the code path of this run; ``TEST_ENGINE=convergence`` is the other one."""

    @pytest.mark.parametrize("claimed", CASES)
    def test_an_operation_outlives_its_agent_or_has_failed(self, guest: Guest, claimed: str) -> None:
        case = CASES[claimed]
        arguments = case.arguments(guest)
        ended = self.die_in(guest, claimed, arguments)
        if ended["state"] == "failed":
            assert PATH is CodePath.LEGACY, ended["error"]
            self.repeat(guest, claimed, arguments)
        else:
            assert ended["state"] == "done"
        eventually(lambda: case.effect(guest), timeout=30)
        case.undo(guest)

    @claims("prepare")
    def test_so_does_prepare(self, make_guest: MakeGuest) -> None:
        guest = make_guest()
        guest.agent.boot(guest.wire)
        ended = self.die_in(guest, "prepare", guest.preparation())
        if ended["state"] == "failed":
            assert PATH is CodePath.LEGACY, ended["error"]
            guest.wait_for_status("failed to spawn")
            guest.prepare()
        assert guest.status() == "healthy"
        guest.close()

    def die_in(self, guest: Guest, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Have the agent killed once it has accepted the request; what the next one says of the operation."""
        request_id, _ = guest.send(method, arguments)
        eventually(lambda: guest.operation(request_id), every=0.001)
        guest.kill_agent()
        guest.wait_for_rest()
        return guest.operation(request_id)

    def repeat(self, guest: Guest, method: str, arguments: Mapping[str, Any]) -> None:
        """Ask once more, as a person would who reads that it failed."""
        refused = guest.attempt(method, arguments)
        # It may have died after the deed.
        assert refused is None or refused.kind == "AlreadyExists", refused
