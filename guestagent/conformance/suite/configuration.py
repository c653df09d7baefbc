"""The user's configuration: what applies at once, what waits for a restart, what is refused, and the way back."""

from collections.abc import Iterator
from typing import Any

import pytest

from guestagent.conformance.claims import claims, given
from guestagent.conformance.datastore import Setting
from guestagent.conformance.guest import Guest


def seen(guest: Guest, setting: Setting) -> Any:
    """What is in force."""
    return guest.datastore.setting(guest.account, setting.name)


@claims("update_overrides", "restart")
@given("setting")
class TestConfiguration:
    """Overrides, seen in the running server."""

    @pytest.fixture(autouse=True)
    def taken_back(self, guest: Guest) -> Iterator[None]:
        yield
        guest.do("update_overrides", overrides={}, remove=True)
        guest.do("restart")

    @claims("apply_overrides")
    @given("live")
    def test_a_live_setting_applies_at_once_and_stays(self, guest: Guest) -> None:
        live = guest.datastore.live
        assert live is not None
        before, pid, heard = seen(guest, live), guest.server_pid, guest.heard
        assert before != live.in_force
        guest.do("update_overrides", overrides=live.overrides)
        assert seen(guest, live) == before
        guest.do("apply_overrides", overrides=live.overrides)
        assert seen(guest, live) == live.in_force
        assert guest.server_pid == pid
        guest.do("restart")
        assert seen(guest, live) == live.in_force
        assert "restart required" not in [report.status for report in guest.conductor.reports[heard:]]
        guest.do("update_overrides", overrides={}, remove=True)
        guest.do("restart")
        assert seen(guest, live) == before

    @claims("apply_overrides")
    @given("live", "refused")
    def test_all_of_a_call_or_nothing(self, guest: Guest) -> None:
        live = guest.datastore.live
        assert live is not None
        default = seen(guest, live)
        for wrong in guest.datastore.refused:
            if wrong.name == live.name:
                continue
            mixed = {**live.overrides, **wrong.overrides}
            before = seen(guest, live)
            assert guest.refusal("update_overrides", overrides=mixed).kind == "InvalidValue", wrong
            # Who asks for it all the same may be told that the wrong one waits for a restart.
            if refused := guest.attempt("apply_overrides", overrides=mixed):
                assert refused.kind == "InvalidValue", wrong
                assert seen(guest, live) == before
        guest.do("restart")
        assert seen(guest, live) == default

    @claims("apply_overrides")
    @given("refused_live")
    def test_what_only_the_running_server_refuses_does_not_wait_on_disk(self, guest: Guest) -> None:
        wrong = guest.datastore.refused_live
        assert wrong is not None
        before = seen(guest, wrong)
        guest.do("update_overrides", overrides=wrong.overrides)
        assert guest.refusal("apply_overrides", overrides=wrong.overrides).kind == "InvalidValue"
        guest.do("restart")
        assert seen(guest, wrong) == before

    @given("restart")
    def test_another_waits_for_a_restart(self, guest: Guest) -> None:
        waiting = guest.datastore.restart
        assert waiting is not None
        before, heard = seen(guest, waiting), guest.heard
        assert before != waiting.in_force
        live = guest.datastore.live
        overrides = {**waiting.overrides, **(live.overrides if live else {})}
        guest.do("update_overrides", overrides=overrides)
        if guest.supports("apply_overrides"):
            guest.do("apply_overrides", overrides=overrides)
            guest.wait_for_status("restart required", after=heard)
            assert live is None or seen(guest, live) == live.in_force
        assert seen(guest, waiting) == before
        guest.do("restart")
        assert seen(guest, waiting) == waiting.in_force

    @given("refused", "restart")
    def test_what_the_server_refuses_leaves_the_previous_in_force(self, guest: Guest) -> None:
        kept = guest.datastore.restart
        assert kept is not None
        guest.do("update_overrides", overrides=kept.overrides)
        guest.do("restart")
        for wrong in guest.datastore.refused:
            refused = guest.refusal("update_overrides", overrides={**kept.overrides, **wrong.overrides})
            assert refused.kind == "InvalidValue", wrong
            assert guest.status() == "healthy"
        guest.do("restart")
        assert seen(guest, kept) == kept.in_force

    @pytest.mark.parametrize(
        "overrides",
        [
            {"": 1},
            {"no-such-setting": 1},
            {"no such setting": "it's\n[other]\nx = 1"},
            {"'; --": 1},
            {"nul\0": "nul\0"},
            {"\ud800": "\ud800"},
        ],
        ids=ascii,
    )
    def test_what_is_no_setting_is_refused(self, guest: Guest, overrides: dict[str, object]) -> None:
        assert guest.refusal("update_overrides", overrides=overrides).kind == "InvalidValue"
        assert guest.status() == "healthy"


@claims("reset_configuration", "start_db_with_conf_changes", "update_overrides")
@given("restart", "setting")
class TestFlavour:
    """The configuration that comes with the flavour, and the user's under it."""

    @given("unstartable")
    def test_one_that_the_server_does_not_start_with_leaves_the_previous_one(self, guest: Guest) -> None:
        kept = guest.datastore.restart
        assert kept is not None
        before = seen(guest, kept)
        guest.do("stop_db")
        contents = {"config_contents": f"{guest.datastore.config_contents or ''}\n{guest.datastore.unstartable}\n"}
        arguments = {"config_contents": contents, "ds_version": guest.datastore.version}
        assert guest.refusal("start_db_with_conf_changes", arguments).kind == "InvalidValue"
        assert guest.status() == "healthy"
        assert seen(guest, kept) == before

    def test_the_users_part_survives_a_new_flavour(self, guest: Guest) -> None:
        kept = guest.datastore.restart
        assert kept is not None
        contents = {"config_contents": guest.datastore.config_contents}
        guest.do("update_overrides", overrides=kept.overrides)
        guest.do("reset_configuration", configuration=contents)
        guest.do("stop_db")
        guest.do("start_db_with_conf_changes", config_contents=contents, ds_version=guest.datastore.version)
        assert guest.status() == "healthy"
        assert seen(guest, kept) == kept.in_force
        guest.do("update_overrides", overrides={}, remove=True)
        guest.do("restart")
