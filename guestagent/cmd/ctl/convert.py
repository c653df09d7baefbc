"""``guestagentctl convert-engine``: from now on the instance's operations are written down ahead."""

import argparse
import sys

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.command import Answer, Command, add_timeout
from guestagent.cmd.ctl.local import add_broker, nearest, understood
from guestagent.contract.errors import GuestAgentError
from guestagent.contract.operations import EngineDetails

MEANING = """\
From now on the operations of this instance are written down ahead, step by step, and an agent that is restarted
or killed takes up what the last one left. The database and its data are not touched.
This is for good: there is no way back from 'convergence' to 'legacy'.
"""
QUESTION = "Convert this instance? [yes/no] "
YES = ("y", "yes")


class NotConfirmed(GuestAgentError):
    """Nobody has said yes."""

    id = "ctl.not-confirmed"
    sentence = "Nothing was changed: {problem}."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal to ask on")
    add_broker(parser)
    add_timeout(parser, 60)


def _run(options: argparse.Namespace) -> Answer:
    if not options.yes:
        _confirm()
    with nearest(cfg.CONF, options.timeout, broker=options.broker) as ask:
        found = ask("convert_engine", {})
    return Answer(found, _render(understood(found, EngineDetails)))


def _confirm() -> None:
    """Have a person say yes.

    :raises NotConfirmed: there is none, or it is a no.
    """
    if not sys.stdin.isatty():
        raise NotConfirmed(problem="there is no way back, and nobody to ask; say --yes if it is meant")
    # Standard output is for the answer.
    sys.stderr.write(f"{MEANING}{QUESTION}")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in YES:
        raise NotConfirmed(problem="the answer was not 'yes'")


def _render(found: EngineDetails) -> str:
    if found.before == found.after:
        return f"nothing to do: the engine of this instance is '{text.cell(found.after)}' already"
    return f"the engine of this instance was '{text.cell(found.before)}' and is '{text.cell(found.after)}' from now on"


COMMAND = Command(
    name="convert-engine",
    summary="have the instance's operations written down ahead, so that they survive the agent; for good",
    run=_run,
    examples="""\
guestagentctl convert-engine          says what it means, and asks
guestagentctl convert-engine --yes    for scripts
guestagentctl operations ID           'engine' says how an operation was carried out""",
    add_arguments=_add_arguments,
)
