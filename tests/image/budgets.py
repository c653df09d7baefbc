"""What an image may cost."""

from tests.image.builds import Build

MB = 10**6
SIZE = "image, compressed"

LIMITS = {
    "build": (120, "s"),
    "the agent on disk": (40, "MB"),
    "nspawn: boot to the first answer": (3, "s"),
    "nspawn: boot to healthy after prepare": (15, "s"),
    "QEMU without KVM: boot to the first answer": (60, "s"),
}
"""Of every image, on a machine of two cores that does nothing else; what its file may have, each says itself."""


def limit(build: Build, name: str) -> tuple[int, str]:
    """What an image may cost, and in which unit.

    :param name: a key of LIMITS, or SIZE.
    """
    return (build.megabytes, "MB") if name == SIZE else LIMITS[name]


class Budgets:
    """Measured values of each image, in the order in which they came.

    They are told and not judged: a machine that others work on at the same time makes seconds longer. Sizes are the
    same everywhere, and the tests hold them to their limits.
    """

    def __init__(self) -> None:
        self._measured: dict[tuple[Build, str], float] = {}

    def measured(self, build: Build, name: str, value: float) -> None:
        """Keep a value.

        :param name: a key of LIMITS, or SIZE.
        """
        limit(build, name)
        self._measured[build, name] = value

    def __str__(self) -> str:
        lines = []
        for (build, name), value in self._measured.items():
            most, unit = limit(build, name)
            over = "" if value <= most else "  OVER"
            lines.append(f"{build!s:30} {name:45} {value:7.1f} {unit:3} of {most}{over}")
        return "\n".join(lines)
