"""The process that does the work of one backup: it reads one job, says how far it is, and ends."""

import gc
import os
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from guestagent.contract.errors import GuestAgentError
from guestagent.system import threads

PROGRAM = "guestagent-backup"
EVERY_SECONDS = 0.5
"""How often the agent hears of progress."""


class Voice:
    """Says things to the agent, one line each.

    :param stream: to the agent.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last = 0.0

    def progress(self, done: int, total: int | None) -> None:
        """Say how far the work is, now and then."""
        from guestagent.backup.job import Progress

        if time.monotonic() - self._last >= EVERY_SECONDS:
            self._last = time.monotonic()
            self.say(Progress(done, total))

    def say(self, message: msgspec.Struct) -> None:
        """Say something."""
        self._stream.write(msgspec.json.encode(message) + b"\n")
        self._stream.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the job that is on standard input.

    :returns: 0 also where the job has failed, which the agent has been told.
    """
    # Nothing of what is imported is ever garbage, and looking for some takes time.
    gc.disable()
    # What a library prints must not get between the lines to the agent.
    voice = Voice(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    threads.refuse_green()
    from oslo_config import cfg
    from oslo_log import log

    from guestagent import conf
    from guestagent.backup import tasks
    from guestagent.backup.job import Failed, Job

    log.register_options(cfg.CONF)
    conf.load(cfg.CONF, sys.argv[1:] if arguments is None else arguments, PROGRAM)
    log.setup(cfg.CONF, PROGRAM)
    gc.freeze()
    gc.enable()
    job: Job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    try:
        done = tasks.do(cfg.CONF, job, voice.progress)
    except GuestAgentError as error:
        voice.say(Failed(error.id, str(error)))
        return 0
    voice.say(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
