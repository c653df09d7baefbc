"""What the agent may cost, and whether it does not cost more."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.peers import AGENT, FLOOR, SECURED_AGENT, TROVE

JOURNAL, NO_JOURNAL = "journal", "no-journal"
"""The two guests whose calls outside of operations are compared."""
PIPELINE, GZIP_PIPELINE = "zstd-pipeline", "gzip-pipeline"
WORKER, ENCRYPTING_WORKER = "worker", "worker-encrypting"
PGBACKREST, SERVER_ZSTD = "pgbackrest", "server-zstd"
BGSAVE = "bgsave"
QUIET = "no-backup"
"""Who backs up: programs with pipes between them, the agent's worker, nobody."""

Rounds = Mapping[str, Sequence[float]]
"""One figure's values, a peer's name to its value in every round."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """A limit for one figure of one peer.

    :ivar figure: its name.
    :ivar peer: whose.
    :ivar limit: of the quotient, when there is a reference; otherwise of the figure itself.
    :ivar reference: the peer whose figure it is divided by.
    :ivar at_least: the figure is one of those that should be high.
    """

    figure: str
    peer: str
    limit: float
    reference: str | None = None
    at_least: bool = False

    def judge(self, rounds: Rounds) -> "Verdict":
        """Compare what was measured with the limit.

        A quotient is taken in each round and their median counts: a slow minute of the machine then
        slows both sides of it.
        """
        values = rounds[self.peer]
        if self.reference is not None:
            values = [value / other for value, other in zip(values, rounds[self.reference], strict=True)]
        reached = statistics.median(values)
        kept = reached >= self.limit if self.at_least else reached <= self.limit
        return Verdict(self, reached, kept)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a budget is kept.

    :ivar reached: what was compared with the limit.
    """

    budget: Budget
    reached: float
    kept: bool


BUDGETS = (
    Budget("start_ms", AGENT, 1.25, FLOOR),
    Budget("start_ms", AGENT, 0.27, TROVE),
    Budget("modules", AGENT, 650),
    Budget("idle_mib", AGENT, 1.15, FLOOR),
    Budget("idle_mib", AGENT, 0.46, TROVE),
    Budget("loaded_mib", AGENT, 1.15, FLOOR),
    Budget("loaded_mib", AGENT, 0.46, TROVE),
    Budget("idle_mib", SECURED_AGENT, 1.3, FLOOR),
    Budget("idle_mib", SECURED_AGENT, 0.46, TROVE),
    Budget("loaded_mib", SECURED_AGENT, 1.3, FLOOR),
    Budget("loaded_mib", SECURED_AGENT, 0.46, TROVE),
    Budget("p50_ms", AGENT, 1.1, FLOOR),
    Budget("cpu_ms_per_call", AGENT, 1.15, FLOOR),
    Budget("installed_mib", AGENT, 0.3, TROVE),
    Budget("idle_cpu_ms_per_s", AGENT, 1.0),
    Budget("idle_cpu_ms_per_s", SECURED_AGENT, 1.0),
)
JOURNAL_BUDGETS = (
    Budget("ping_us", JOURNAL, 1.02, NO_JOURNAL),
    Budget("read_us", JOURNAL, 1.02, NO_JOURNAL),
)
"""Those who change nothing pay nothing; what operations and steps pay is reported, and the disk decides it."""
