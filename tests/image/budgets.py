"""What an image may cost."""

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
    """Measured values, in the order in which they came.

    They are told and not judged: a machine that others work on at the same time makes seconds longer. Sizes are the
    same everywhere, and the tests hold them to their limits.
    """

    def __init__(self) -> None:
        self._measured: dict[str, float] = {}

    def measured(self, name: str, value: float) -> None:
        """Keep a value.

        :param name: a key of LIMITS.
        """
        LIMITS[name]
        self._measured[name] = value

    def __str__(self) -> str:
        lines = []
        for name, value in self._measured.items():
            limit, unit = LIMITS[name]
            lines.append(f"{name:45} {value:7.1f} {unit:3} of {limit}{'' if value <= limit else '  OVER'}")
        return "\n".join(lines)
