"""The agent is killed in the middle of an operation, and the next one makes of it what the code path says."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from guestagent.conformance.claims import claims
from guestagent.conformance.code_path import PATH
from guestagent.conformance.datastore import Account, is_given
from guestagent.conformance.guest import PASSWORD, Guest, MakeGuest
from guestagent.conformance.poll import eventually
from guestagent.conformance.suite import backups, databases, modules, users
from guestagent.contract.operations import CodePath


@dataclasses.dataclass(frozen=True)
class Case:
    """One operation.

    :ivar effect: whether it has come to what it should.
    :ivar arguments: of the call.
    :ivar arrange: makes what it begins with.
    :ivar undo: makes the guest what it was.
    """

    effect: Callable[[Guest], bool]
    arguments: Callable[[Guest], Mapping[str, Any]] = lambda guest: {}
    arrange: Callable[[Guest], object] = lambda guest: None
    undo: Callable[[Guest], object] = lambda guest: None


NAME, NEW = "crashed", "a new password"
DATABASE: Mapping[str, Any] = {"databases": [{"_name": NAME}]}
USER: Mapping[str, Any] = {"users": [users.user(NAME)]}


def _has_database(guest: Guest) -> bool:
    return NAME in databases.names(guest)


def _has_user(guest: Guest) -> bool:
    return NAME in users.names(guest)


def _enters(guest: Guest, password: str) -> bool:
    return is_given(type(guest.datastore), "enters") and guest.datastore.enters(Account(NAME, password))


def _is_healthy(guest: Guest) -> bool:
    return guest.status() == "healthy"


def _overrides(guest: Guest) -> Mapping[str, Any]:
    wanted = guest.datastore.restart
    return {"overrides": wanted.overrides if wanted else {}}


def _take_overrides_back(guest: Guest) -> None:
    guest.do("update_overrides", overrides={}, remove=True)
    guest.do("restart")


def _flavour(guest: Guest) -> Mapping[str, Any]:
    contents = {"config_contents": guest.datastore.config_contents}
    return {"config_contents": contents, "ds_version": guest.datastore.version}


CASES = {
    "restart": Case(_is_healthy),
    "stop_db": Case(lambda guest: guest.status() == "shutdown", undo=lambda guest: guest.do("restart")),
    "start_db_with_conf_changes": Case(_is_healthy, _flavour, arrange=lambda guest: guest.do("stop_db")),
    "create_database": Case(
        _has_database,
        lambda guest: DATABASE,
        undo=lambda guest: guest.do("delete_database", database={"_name": NAME}),
    ),
    "delete_database": Case(
        lambda guest: not _has_database(guest),
        lambda guest: {"database": {"_name": NAME}},
        arrange=lambda guest: guest.do("create_database", DATABASE),
    ),
    "create_user": Case(_has_user, lambda guest: USER, undo=lambda guest: users.drop(guest, NAME)),
    "delete_user": Case(
        lambda guest: not _has_user(guest),
        lambda guest: {"user": {"_name": NAME, "_host": users.host_of(guest, NAME)}},
        arrange=lambda guest: guest.do("create_user", USER),
    ),
    "change_passwords": Case(
        lambda guest: _enters(guest, NEW) and not _enters(guest, PASSWORD),
        lambda guest: {"users": [{"name": NAME, "host": users.host_of(guest, NAME), "password": NEW}]},
        arrange=lambda guest: guest.do("create_user", USER),
        undo=lambda guest: users.drop(guest, NAME),
    ),
    "update_overrides": Case(_is_healthy, _overrides, undo=_take_overrides_back),
    "module_apply": Case(
        lambda guest: len(guest.do("module_list")) == 1,
        lambda guest: {"modules": [modules.module()]},
        undo=lambda guest: guest.do("module_remove", module=modules.module()),
    ),
    "create_backup": Case(
        lambda guest: guest.conductor.of(guest.id, "update_backup")[-1].args["state"] == "COMPLETED",
        lambda guest: {"backup_info": backups.wanted(guest)},
    ),
}
"""By the names of the calls; a plugin's own tests know better what else must not be left halfway."""


class TestCrash:
    """On the code path of this run; ``TEST_ENGINE=convergence`` is the other one."""

    @pytest.mark.parametrize("claimed", CASES)
    def test_an_operation_outlives_its_agent_or_has_failed(self, guest: Guest, claimed: str) -> None:
        case = CASES[claimed]
        case.arrange(guest)
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
            # It may have died after the deed.
            if guest.status() != "healthy":
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
        assert refused is None or refused.kind in ("AlreadyExists", "NotFound"), refused
