"""What every command shares: its options, and the two forms of its answer."""

import argparse
from collections.abc import Callable
from typing import Any

import msgspec

from guestagent.contract.errors import GuestAgentError


class WrongUse(GuestAgentError):
    """The parts of the command line do not fit together."""

    id = "ctl.wrong-use"
    sentence = "{problem}; 'guestagentctl {command} --help' shows examples."


class Answer(msgspec.Struct, frozen=True):
    """What a command found.

    :ivar value: for programs, in types that JSON has.
    :ivar text: the same for people, without a newline at its end.
    """

    value: Any
    text: str


class Command(msgspec.Struct, frozen=True):
    """One command of the program.

    :ivar name: as it is typed.
    :ivar summary: one line of help.
    :ivar run: does it; gets the command line as it was understood.
    :ivar examples: of its use, for the help; one a line.
    :ivar add_arguments: adds what only this command understands.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], Answer]
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def positive(text: str) -> float:
    """A number of seconds as it is typed."""
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def add_timeout(parser: argparse.ArgumentParser, seconds: int) -> None:
    """Add ``--timeout``."""
    parser.add_argument(
        "--timeout",
        type=positive,
        default=seconds,
        metavar="SECONDS",
        help="how long to wait for the agent (default: %(default)s)",
    )
