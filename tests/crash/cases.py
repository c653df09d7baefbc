"""One death in one operation, and what must have become of both."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from guestagent import contract
from guestagent.conformance import dying, killed_agent
from guestagent.conformance.dying import State, choose, differences, expected_end, told
from guestagent.conformance.killed_agent import Moment
from guestagent.conformance.wire import CallFailed, NoReply
from guestagent.contract.call import OWN, TROVE
from guestagent.contract.operations import CodePath
from tests.crash.guest import Guest, Sent
from tests.crash.scenarios import Scenario
from tests.crash.state import litter, state_of

REPORT_SECONDS = 60.0


class Undisturbed(dying.Undisturbed):
    """How an operation goes when nobody dies."""

    def losing(self, lost: State) -> Self:
        """The same without what the agent held, which has died."""
        return dataclasses.replace(self, before={**self.before, **lost}, after={**self.after, **lost})


def go_undisturbed(guest: Guest, scenario: Scenario) -> Undisturbed:
    """Do the operation once, and see that it comes to something."""
    scenario.arrange(guest)
    guest.wait_for_rest()
    before = state_of(guest)
    guest.script.record()
    sent = scenario.send(guest)
    if sent.answer is not None:
        sent.answer.reply()
    details = guest.end_of(sent)
    guest.wait_for_rest()
    passed = guest.script.recorded()
    after = state_of(guest)
    assert details is not None
    assert details["state"] == ("failed" if scenario.fails else "done"), details["error"]
    assert litter(guest) == []
    changed = differences(before, after)
    assert scenario.fails or bool(changed) == scenario.changes, changed
    return Undisturbed(before, after, [moment for moment in passed if moment.call == scenario.call], details["state"])


def die_in(
    guest: Guest,
    scenario: Scenario,
    undisturbed: Undisturbed,
    moment: Moment,
) -> list[str]:
    """Have the agent die at a moment of the operation and start another one.

    :returns: what is not as it must be, in words.
    """
    scenario.arrange(guest)
    guest.wait_for_rest()
    if wrong := differences(undisturbed.before, state_of(guest)):
        return ["the beginning is not what it was", *told(wrong)]
    reported = len(guest.conductor.reports)
    guest.script.kill_at(moment)
    sent = scenario.send(guest)
    if moment.kind == killed_agent.INSIDE and not guest.dies(sent):
        # A step does not wait every time where it has waited once.
        guest.script.clear()
        return []
    guest.wait_for_death()
    restarted = len(guest.conductor.reports)
    guest.agent.boot(guest.wire)
    undisturbed = undisturbed.losing(scenario.lost)
    declared = contract.ALLOWED[OWN if scenario.own else TROVE, scenario.call]
    wanted = expected_end(guest.path, declared, moment, undisturbed.end, resumable=scenario.resumable)
    details = guest.end_of(sent) if wanted is not None else None
    guest.wait_for_rest()
    return [
        *_wrong_end(guest, sent, wanted, details),
        *_wrong_state(guest, scenario, undisturbed, wanted),
        *litter(guest),
        *_untold(guest, scenario, sent, wanted, reported),
        *_wrong_status(guest, restarted),
    ]


def _wrong_end(guest: Guest, sent: Sent, wanted: str | None, details: dict[str, Any] | None) -> list[str]:
    if wanted is None:
        return ["the agent knows of a request that it cannot"] if guest.operation(sent) else []
    assert details is not None
    return [] if details["state"] == wanted else [f"it is {details['state']} and not {wanted}: {details['error']}"]


def _wrong_state(guest: Guest, scenario: Scenario, undisturbed: Undisturbed, wanted: str | None) -> list[str]:
    found = state_of(guest)
    if wanted == "failed" and scenario.given_up is not None:
        return scenario.given_up(guest, undisturbed.after)
    if wanted is not None and wanted == undisturbed.end and (guest.path is CodePath.CONVERGENCE or not scenario.fails):
        return told(differences(undisturbed.after, found))
    if wanted is None:
        return told(differences(undisturbed.before, found))
    return told(unsettled(scenario, undisturbed, found))


def unsettled(scenario: Scenario, undisturbed: Undisturbed, found: State) -> dict[str, tuple[Any, Any]]:
    """What is neither as it was nor as an operation that was given up may have left it."""
    return {
        name: (wanted, is_now)
        for name, (wanted, is_now) in differences(undisturbed.before, found).items()
        if not name.startswith(tuple(scenario.may_differ))
        and not ((scenario.fails or name.startswith(tuple(scenario.may_stay))) and is_now in either(undisturbed, name))
    }


def either(undisturbed: Undisturbed, name: str) -> list[Any]:
    """What something is before and after."""
    return [undisturbed.before.get(name), undisturbed.after.get(name)]


def _untold(guest: Guest, scenario: Scenario, sent: Sent, wanted: str | None, reported: int) -> list[str]:
    """What the conductor waits for in vain."""
    declared = contract.ALLOWED[OWN if scenario.own else TROVE, scenario.call]
    if not declared.notifies or wanted is None:
        return []
    method = "notify_end" if wanted == "done" else "notify_exc_info"
    try:
        guest.conductor.wait_for(
            lambda report: (
                report.method == method and report.args["serialized_notification"]["request_id"] == sent.request_id
            ),
            REPORT_SECONDS,
            after=reported,
            what=method,
        )
    except AssertionError as silence:
        return [str(silence).splitlines()[0]]
    return []


def _wrong_status(guest: Guest, restarted: int) -> list[str]:
    """Whether the conductor believes something that is not so."""
    status = guest.ask("get_status")["service_status"]
    believed = {status, "restart required"} if status == "healthy" else {status}
    try:
        guest.conductor.wait_for_status(guest.id, *believed, timeout=REPORT_SECONDS, after=restarted)
    except AssertionError as silence:
        return [str(silence).splitlines()[0]]
    return []


def see_some(guest: Guest, scenario: Scenario, undisturbed: Undisturbed, is_whole: bool, only: str) -> None:
    """Die at every moment of an operation, or at some; see :func:`see_each`.

    :param is_whole: at every one.
    :param only: at every one whose name holds this.
    """
    chosen = [moment for moment in undisturbed.passed if only in str(moment)]
    if not (is_whole or only):
        chosen = choose(chosen, f"{scenario.name} {guest.path.value}")
    see_each(guest, scenario, undisturbed, chosen)


def see_each(
    guest: Guest,
    scenario: Scenario,
    undisturbed: Undisturbed,
    chosen: Sequence[Moment],
) -> None:
    """Die at each of the moments.

    :raises AssertionError: something is not as it must be; all of it, by moment. After each such one the guest is
        as new.
    """
    found: list[str] = []
    for moment in chosen:
        try:
            wrong = die_in(guest, scenario, undisturbed, moment)
        except (AssertionError, CallFailed, NoReply) as error:
            wrong = [str(error)]
        if wrong:
            found += [f"killed at {moment}:", *(f"  {line}" for text in wrong for line in text.splitlines())]
            guest.renew()
            undisturbed = go_undisturbed(guest, scenario)
    if found:
        raise AssertionError("\n".join(found))
