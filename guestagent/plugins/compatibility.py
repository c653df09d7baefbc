"""Whether a plugin was written for this runtime, decided before anything of it is imported."""

import re
from collections.abc import Iterable

PLAIN = re.compile(r"guestagent(?:\[[\w,\s]*\])?\s*\(?\s*>=\s*(?P<least>\d+(?:\.\d+)*)\s*\)?")
RELEASE = re.compile(r"\d+(?:\.\d+)*")


def unmet(requirements: Iterable[str], version: str) -> str | None:
    """The first requirement on ``guestagent`` that a version of it does not meet; none: all are met.

    :param requirements: of a distribution, in the form of ``Requires-Dist``.
    :param version: of the installed runtime.
    """
    for requirement in requirements:
        if re.match(r"guestagent(?![\w.-])", requirement, re.IGNORECASE) and not _meets(version, requirement):
            return requirement
    return None


def _meets(version: str, requirement: str) -> bool:
    plain = PLAIN.fullmatch(requirement)
    if plain and RELEASE.fullmatch(version):
        # The form that nearly every plugin has; packaging costs 20 ms and 0.8 MiB at every start.
        return _release(version) >= _release(plain["least"])
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    if parsed.marker is not None and not parsed.marker.evaluate({"extra": ""}):
        return True
    return parsed.specifier.contains(version, prereleases=True)


def _release(text: str) -> tuple[int, ...]:
    parts = [int(part) for part in text.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)
