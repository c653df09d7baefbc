"""A server for a restore, which is seen by nobody else: what is the same for every database."""

import time
from collections.abc import Callable

from guestagent.capabilities.error_log import ErrorLog
from guestagent.contract.errors import DatastoreDown, DatastoreError, SystemFailure
from guestagent.system import waiting
from guestagent.system.stream import Producer

PERIOD = 0.2
"""Seconds between two looks whether it answers."""


def wait_until_answers(
    ask: Callable[[], object], process: Producer, log: ErrorLog, seconds: float, datastore: str
) -> None:
    """Wait until a server that was just started answers.

    :param ask: asks it something; :class:`DatastoreDown` means that it does not answer yet.
    :param log: tells why it ended.
    :param datastore: what an error's sentence calls the server.
    :raises DatastoreError: it ended, or did not answer in so many seconds, in its own words.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
        except DatastoreDown as error:
            if process.ended or time.monotonic() > deadline:
                problem = log.reasons(0) or _said(process) or str(error)
                raise DatastoreError(subject=f"Starting {datastore} for the restore", problem=problem) from None
            waiting.pause(PERIOD)
        else:
            return


def as_text(value: object) -> str | None:
    """A value of an answer as a person reads it."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _said(process: Producer) -> str:
    """Why it ended before it had a log."""
    if not process.ended:
        return ""
    try:
        return process.finish()
    except SystemFailure as error:
        return str(error)
