"""What an installation weighs."""

import dataclasses
import sysconfig
from importlib import metadata
from pathlib import Path

from benchmarks.process import MIB

NOT_NEEDED_TO_RUN = {"pip", "setuptools"}
"""They install; a distribution that requires setuptools (pbr does) runs without it."""


@dataclasses.dataclass(frozen=True)
class Weight:
    """Everything in a virtual environment but pip and setuptools.

    :ivar installed_mib: of all regular files, byte code included.
    :ivar installed_files: their number.
    :ivar installed_distributions: their number.
    """

    installed_mib: float
    installed_files: int
    installed_distributions: int


def weigh(environment: Path) -> Weight:
    """Weigh a virtual environment; symbolic links, as that to the interpreter, weigh nothing."""
    packages = sysconfig.get_path("purelib", "venv", {"base": str(environment)})
    distributions = list(metadata.distributions(path=[packages]))
    not_needed = {
        Path(str(distribution.locate_file(file))).resolve()
        for distribution in distributions
        if distribution.name in NOT_NEEDED_TO_RUN
        for file in distribution.files or []
    }
    files = [path for path in environment.rglob("*") if path.is_file() and not path.is_symlink()]
    weighed = [path for path in files if path.resolve() not in not_needed]
    return Weight(
        installed_mib=sum(path.stat().st_size for path in weighed) / MIB,
        installed_files=len(weighed),
        installed_distributions=sum(distribution.name not in NOT_NEEDED_TO_RUN for distribution in distributions),
    )
