"""Sending a process of its own to do a job, and listening to what it says."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from guestagent.backup.job import Failed, Job, Message, Progress, Result, WorkFailed
from guestagent.backup.progress import Progress as Hears
from guestagent.contract.errors import SystemFailure
from guestagent.system.worker import Worker

WORKER = "guestagent.backup.worker"

Wanted = TypeVar("Wanted", bound=Result)


def send(job: Job, arguments: Sequence[str], progress: Hears, wanted: type[Wanted]) -> Wanted:
    """Have a job done.

    :param arguments: the command line with which the process reads our files.
    :param wanted: what it says at its end.
    :raises WorkFailed: it failed.
    :raises SystemFailure: the process died.
    """
    with Worker(WORKER, arguments, msgspec.json.encode(job)) as worker:
        for line in worker.lines():
            match msgspec.json.decode(line, type=Message):
                case Progress(done, total):
                    progress(done, total)
                case Failed(remote_id, sentence):
                    raise WorkFailed(message=sentence, remote_id=remote_id)
                case found if isinstance(found, wanted):
                    return found
    raise SystemFailure(subject=WORKER, problem="it ended without a word")
