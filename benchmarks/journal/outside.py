"""What calls pay for the journal that are no operations: the same calls with one and without, by turns."""

import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.budgets import JOURNAL, NO_JOURNAL
from benchmarks.journal.guest import TrivialGuest, message
from benchmarks.journal.kinds import KEEP, MICROSECONDS
from benchmarks.journal.samples import Samples
from guestagent.operations.journal import Journal, NoJournal
from guestagent.operations.vault import Vault

CALLS = {"ping_us": "rpc_ping", "read_us": "list_databases"}
"""The calls, by the names of their figures."""

Outside = Mapping[str, Mapping[str, Samples]]
"""Microseconds from the message to the answer, by the names of the figure and of the guest."""


def measure(directory: Path, rounds: int, repeats: int) -> Outside:
    """Ask two guests by turns, in one process.

    :param directory: holds their state.
    :param repeats: of every call, in every round.
    """
    with (
        TrivialGuest(
            directory / JOURNAL, lambda store, state_dir: Journal(store, Vault(state_dir), lambda: KEEP)
        ) as with_journal,
        TrivialGuest(directory / NO_JOURNAL, lambda store, state_dir: NoJournal()) as without,
    ):
        turns = [(JOURNAL, with_journal.dispatch), (NO_JOURNAL, without.dispatch)]
        outside = {figure: {name: Samples() for name, _ in turns} for figure in CALLS}
        for _ in range(rounds):
            for figure, call in CALLS.items():
                for name, _ in turns:
                    outside[figure][name].begin_round()
                for _ in range(repeats):
                    for name, dispatch in turns:
                        incoming = message(call)
                        begun = time.perf_counter()
                        dispatch(incoming)
                        outside[figure][name].add([(time.perf_counter() - begun) * MICROSECONDS])
                    # Whoever is second finds the processor's caches warm.
                    turns.reverse()
    return outside
