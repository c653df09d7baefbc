"""``guestagentctl operations``: what the agent is doing and has done."""

import argparse
import sys
import time

from oslo_config import cfg

from guestagent.cmd.ctl import progress
from guestagent.cmd.ctl.command import Answer, Command, WrongUse, add_timeout
from guestagent.cmd.ctl.follow import display, follow, is_ended
from guestagent.cmd.ctl.local import Ask, add_broker, nearest, understood
from guestagent.contract.errors import GuestAgentError
from guestagent.contract.operations import OperationDetails, OperationState

MANY = 200
"""Operations that are asked for to follow them: the running one is the oldest of those that have not ended."""


class DidNotSucceed(GuestAgentError):
    """The operation that was followed has not done what it was for."""

    id = "ctl.did-not-succeed"
    sentence = "Operation {id} ('{call}') has ended as {state}: {error}"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="only this one, with its steps")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument(
        "--follow",
        action="store_true",
        help="show progress until Ctrl-C or, with an ID, until that operation has ended; a line for each change "
        "where the output is no terminal, or with --json",
    )
    doing.add_argument(
        "--cancel",
        action="store_true",
        help="end the operation with this ID early: at once where it waits, otherwise before its next step; what can "
        "be taken back is taken back",
    )
    parser.add_argument(
        "--limit", type=_number, default=20, metavar="N", help="so many of the newest (default: %(default)s)"
    )
    add_broker(parser)
    add_timeout(parser, 15)


def _number(typed: str) -> int:
    number = int(typed)
    if number < 1:
        raise ValueError(typed)
    return number


def _run(options: argparse.Namespace) -> Answer:
    if options.cancel and options.id is None:
        raise WrongUse(problem="--cancel needs the ID of an operation", command="operations")
    with nearest(cfg.CONF, options.timeout, broker=options.broker) as ask:
        if options.follow:
            return _follow(ask, options)
        if options.cancel:
            return _cancel(ask, options.id)
        if options.id is not None:
            return _show(ask, options.id)
        return _list(ask, options.limit)


def _list(ask: Ask, limit: int) -> Answer:
    found = ask("operation_list", {"limit": limit})
    operations = understood(found, list[OperationDetails])
    return Answer(found, progress.table(operations, time.time()) if operations else "no operation is known")


def _show(ask: Ask, operation_id: str) -> Answer:
    found = ask("operation_show", {"operation_id": operation_id})
    return Answer(found, progress.one(understood(found, OperationDetails), time.time()))


def _cancel(ask: Ask, operation_id: str) -> Answer:
    found = ask("operation_cancel", {"operation_id": operation_id})
    operation = understood(found, OperationDetails)
    line = progress.line(operation, time.time())
    if is_ended(operation):
        return Answer(found, line)
    return Answer(found, f"{line}\nit ends before its next step; --follow with its ID shows that")


def _follow(ask: Ask, options: argparse.Namespace) -> Answer:
    last: list[OperationDetails] = []

    def look() -> list[OperationDetails]:
        if options.id is None:
            return understood(ask("operation_list", {"limit": MANY}), list[OperationDetails])
        last[:] = [understood(ask("operation_show", {"operation_id": options.id}), OperationDetails)]
        return last

    follow(
        look,
        display(sys.stdout, as_json=options.json),
        patience=options.timeout,
        until=lambda operation: options.id is not None and is_ended(operation),
    )
    [ended] = last
    if ended.state != OperationState.DONE.value:
        raise DidNotSucceed(id=ended.id, call=ended.call, state=ended.state, error=ended.error or "it says no more.")
    # Everything has been said as it came.
    return Answer(None, "")


COMMAND = Command(
    name="operations",
    summary="what the agent is doing and has done: progress, steps, errors; and how to end one early",
    run=_run,
    examples="""\
guestagentctl operations                    the newest, one a line
guestagentctl operations ID                 one of them with its steps
guestagentctl operations --follow           progress bars, until Ctrl-C
guestagentctl operations --follow ID        until that one has ended; exit status 1 if it has failed
guestagentctl operations --follow --json | jq -c '[.call, .phase, .percent]'
guestagentctl operations --cancel ID        end it early

ID is what stands first in the table. An operation is queued, running, done, failed or cancelled; its phase is the
step that is being done, and its percent is '-' where nobody can know how much is left. The agent's socket is asked,
which needs no broker, and the broker where there is no socket.""",
    add_arguments=_add_arguments,
)
