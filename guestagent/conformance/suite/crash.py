"""The agent is killed in the middle of an operation, and the next one makes of it what the code path says."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
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
    """

    call: str
    arguments: Callable[[Guest], Mapping[str, Any]]
    effect: Callable[[Guest], bool]


CASES = (
    Case("restart", lambda guest: {}, lambda guest: guest.status() == "healthy"),
    Case("stop_db", lambda guest: {}, lambda guest: guest.status() == "shutdown"),
    Case(
        "create_database",
        lambda guest: {"databases": [{"_name": "crashed"}]},
        lambda guest: "crashed" in databases.names(guest),
    ),
    Case(
        "create_user",
        lambda guest: {"users": [users.user("crashed")]},
        lambda guest: "crashed" in users.names(guest),
    ),
    Case(
        "update_overrides",
        lambda guest: {"overrides": guest.datastore.restart.overrides if guest.datastore.restart else {}},
        lambda guest: guest.status() == "healthy",
    ),
    Case(
        "module_apply",
        lambda guest: {"modules": [modules.module()]},
        lambda guest: len(guest.do("module_list")) == 1,
    ),
    Case(
        "create_backup",
        lambda guest: {"backup_info": backups.wanted(guest)},
        lambda guest: guest.conductor.of(guest.id, "update_backup")[-1].args["state"] == "COMPLETED",
    ),
)


class TestCrash:
    """On the code path of this run; ``TEST_ENGINE=convergence`` is the other one."""

    @pytest.fixture(autouse=True)
    def running(self, guest: Guest) -> Iterator[None]:
        yield
        if guest.status() != "healthy":
            guest.do("restart")

    @pytest.mark.parametrize("case", [pytest.param(case, marks=claims(case.call), id=case.call) for case in CASES])
    def test_an_operation_outlives_its_agent_or_has_failed(self, guest: Guest, case: Case) -> None:
        arguments = case.arguments(guest)
        ended = self.die_in(guest, case.call, arguments)
        if ended["state"] == "failed":
            assert PATH is CodePath.LEGACY, ended["error"]
            self.repeat(guest, case.call, arguments)
        else:
            assert ended["state"] == "done"
        eventually(lambda: case.effect(guest), timeout=30)

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
