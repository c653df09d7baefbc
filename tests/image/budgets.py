"""What an image may cost."""

from tests.image.builds import Build

LIMITS = {
    "build": (120, "s"),
    "image, compressed": (250, "MB"),
    "the agent on disk": (40, "MB"),
    "nspawn: boot to the first answer": (3, "s"),
    "nspawn: boot to healthy after prepare": (15, "s"),
    "QEMU without KVM: boot to the first answer": (60, "s"),
}
"""On a machine of two cores that does nothing else."""


class Budgets:
    """Measured values of each image, in the order in which they came.

    They are told and not judged: a machine that others work on at the same time makes seconds longer. Sizes are the
    same everywhere, and the tests hold them to their limits.
    """

    def __init__(self) -> None:
        self._measured: dict[tuple[Build, str], float] = {}

    def measured(self, build: Build, name: str, value: float) -> None:
        """Keep a value.

        :param name: a key of LIMITS.
        """
        LIMITS[name]
        self._measured[build, name] = value

    def __str__(self) -> str:
        lines = []
        for (build, name), value in self._measured.items():
            limit, unit = LIMITS[name]
            over = "" if value <= limit else "  OVER"
            lines.append(f"{build!s:30} {name:45} {value:7.1f} {unit:3} of {limit}{over}")
        return "\n".join(lines)
