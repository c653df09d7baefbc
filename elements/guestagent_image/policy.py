"""What may be on an image: the policy of those for whom images are built, and what the builder has to say aloud.

Both are about distributions that offer plugins, and about what these declare of themselves; see
``image-policy.conf.sample`` for the file.
"""

import configparser
import dataclasses
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from guestagent_image.errors import ExperimentalPlugin, PolicyRefused, WrongPolicy
from guestagent_image.inventory import maturity, offers_plugins
from guestagent_image.maturity import Maturity
from guestagent_image.selection import RUNTIME, canonical

DEFAULT = Path("/etc/guestagent/image-policy.conf")
SECTION = "policy"
PATTERN = re.compile(r"[\w.*?-]+", re.ASCII)
"""A distribution's name, with * and ? for any part of it."""


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a file says; one that says nothing lets everything pass.

    :ivar path: of the file.
    :ivar maturity: the least that is wanted.
    :ivar allow: patterns of names, and no other distribution may be on an image; the runtime always may.
    :ivar refuse: patterns of names that may not, whatever else is said.
    """

    path: Path
    maturity: Maturity = Maturity.EXPERIMENTAL
    allow: tuple[str, ...] = ("*",)
    refuse: tuple[str, ...] = ()

    def reasons(self, found: metadata.Distribution) -> Iterator[str]:
        """Why a distribution may not be on an image, in half sentences; none: it may."""
        name, level = canonical(found.name), maturity(found)
        for pattern in self.refuse:
            if fnmatchcase(name, pattern):
                yield f"{found.name} is refused by '{pattern}'"
        if name != RUNTIME and not any(fnmatchcase(name, pattern) for pattern in self.allow):
            yield f"{found.name} is not allowed"
        if level < self.maturity:
            yield f"{found.name} {found.version} is {level.value}, and less than {self.maturity.value}"


def read(path: Path | None) -> Policy:
    """Read a policy; what is not understood is an error, since it may have been meant to refuse something.

    :param path: none: the machine's own, where it has one.
    :raises WrongPolicy: it cannot be read.
    """
    place = path or DEFAULT
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(place.read_text())
        return _understood(place, parser)
    except (OSError, ValueError, configparser.Error) as error:
        if path is None and isinstance(error, FileNotFoundError):
            return Policy(place)
        raise WrongPolicy(path=place, problem=" ".join(str(error).split())) from None


def judge(found: Iterable[metadata.Distribution], policy: Policy, *, experimental: bool) -> None:
    """Refuse what may not be on an image.

    :param experimental: the builder said that experimental plugins are wanted.
    :raises PolicyRefused: the policy is against it.
    :raises ExperimentalPlugin: the builder did not say so.
    """
    plugins = [each for each in found if offers_plugins(each)]
    reasons = [reason for each in plugins for reason in policy.reasons(each)]
    if reasons:
        raise PolicyRefused(path=policy.path, reasons=", ".join(reasons))
    young = [f"{each.name} {each.version}" for each in plugins if maturity(each) is Maturity.EXPERIMENTAL]
    if young and not experimental:
        raise ExperimentalPlugin(plugins=", ".join(young))


def _understood(path: Path, parser: configparser.ConfigParser) -> Policy:
    if parser.sections() != [SECTION]:
        raise ValueError(f"its one section has to be [{SECTION}], and it has {parser.sections()}")
    given = dict(parser[SECTION])
    understood = Policy(
        path,
        maturity=_level(given.pop("maturity", Maturity.EXPERIMENTAL.value)),
        allow=_patterns(given.pop("allow", "*")),
        refuse=_patterns(given.pop("refuse", "")),
    )
    if given:
        raise ValueError(f"there is no option {', '.join(given)}")
    return understood


def _level(text: str) -> Maturity:
    levels = {level.value: level for level in Maturity}
    if text not in levels:
        raise ValueError(f"maturity is one of {', '.join(levels)}, and not '{text}'")
    return levels[text]


def _patterns(text: str) -> tuple[str, ...]:
    patterns = [pattern.strip() for pattern in text.split(",") if pattern.strip()]
    for pattern in patterns:
        if not PATTERN.fullmatch(pattern):
            raise ValueError(f"'{pattern}' is no name of a distribution; write a comma between names")
    return tuple(map(canonical, patterns))
