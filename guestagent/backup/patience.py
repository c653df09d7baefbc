"""Trying again what a store refused: after longer and longer pauses, and not for ever."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from oslo_log import log

from guestagent.contract.errors import StorageError
from guestagent.system import waiting

LOG = log.getLogger(__name__)

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0

Done = TypeVar("Done")


class Patience(msgspec.Struct, frozen=True):
    """When to give up: when both are used up.

    :ivar retries: tries after the first one.
    :ivar seconds: since the first one failed.
    """

    retries: int
    seconds: float

    def try_to(self, work: Callable[[], Done]) -> Done:
        """Do work that may be done again when the store refuses it.

        :raises StorageError: that of the last try.
        :raises GuestAgentError: any other one of the work's, at once; or as :func:`waiting.check`.
        """
        failed_at: float | None = None
        tries = 0
        while True:
            try:
                return work()
            except StorageError as error:
                waiting.check()
                tries += 1
                failed_at = failed_at or time.monotonic()
                if error.hopeless or (tries > self.retries and time.monotonic() - failed_at >= self.seconds):
                    raise
                pause = min(FIRST_PAUSE * 2 ** min(tries - 1, 10), LONGEST_PAUSE)
                # Those who failed together should not come back together.
                pause *= random.uniform(0.5, 1.0)  # noqa: S311  nothing secret depends on it
                LOG.warning("%s Try %d in %.1f s", error, tries + 1, pause)
            waiting.pause(pause)
