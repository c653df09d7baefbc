"""The agent of this machine by the shortest way: its own socket, or the broker where there is none."""

import argparse
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from oslo_config import cfg

from guestagent.cmd.ctl.agent import NoAgent, NoBroker, connected
from guestagent.contract.call import OWN
from guestagent.contract.errors import GuestAgentError
from guestagent.rpc.local import socket_path
from guestagent.rpc.local_client import Away, LocalClient

Form = TypeVar("Form")

Ask = Callable[[str, dict[str, Any]], Any]
"""Makes a call of our own namespace."""


class NoWay(GuestAgentError):
    """Neither the socket nor the broker leads to the agent."""

    id = "ctl.no-way"
    sentence = "{local} {broker}"


class NotUnderstood(GuestAgentError):
    """The agent's answer is not what the contract says."""

    id = "ctl.not-understood"
    sentence = "The agent's answer is not understood ({problem}); is guestagentctl of the agent's own version?"


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Add ``--broker``."""
    parser.add_argument(
        "--broker",
        action="store_true",
        help="ask over the broker as the control plane does, not over the agent's socket on this machine",
    )


@contextlib.contextmanager
def nearest(conf: cfg.ConfigOpts, timeout: float, *, broker: bool) -> Iterator[Ask]:
    """The agent that the files are for, over its socket if it answers there.

    Which way is taken is decided once, before anything is asked.

    :param timeout: seconds that every call waits for its answer.
    :param broker: do not look for the socket.
    :raises NoWay: nothing leads there.
    """
    away = None if broker else _away(conf, timeout)
    if away is None and not broker:
        yield over_socket(conf, timeout)
        return
    with _explained(away), connected(conf) as agent:
        yield functools.partial(agent.call, namespace=OWN, timeout=timeout)


def over_socket(conf: cfg.ConfigOpts, timeout: float) -> Ask:
    """The agent over its socket; whether it answers there shows when it is asked."""
    return functools.partial(LocalClient(socket_path(conf)).call, timeout=timeout)


def is_silence(error: GuestAgentError) -> bool:
    """Whether the broker did not lead to the agent, so that another way may."""
    # By its id: the class stands where all of oslo.messaging is imported.
    return isinstance(error, NoAgent | NoBroker) or error.id == "remote.unreachable"


def understood(found: Any, form: type[Form]) -> Form:
    """What an agent answered, in the form that the contract gives it; what a newer one adds is left out.

    :raises NotUnderstood: it has another form.
    """
    try:
        return msgspec.convert(found, form)
    except msgspec.ValidationError as error:
        raise NotUnderstood(problem=error) from None


def _away(conf: cfg.ConfigOpts, timeout: float) -> Away | None:
    """Why the socket cannot be used."""
    try:
        LocalClient(socket_path(conf)).probe(timeout)
    except Away as error:
        return error
    return None


@contextlib.contextmanager
def _explained(away: Away | None) -> Iterator[None]:
    """Have what is said about the broker say too why the broker was needed."""
    try:
        yield
    except GuestAgentError as error:
        if away is not None and is_silence(error):
            raise NoWay(local=away, broker=error) from None
        raise
