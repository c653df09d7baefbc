"""Where stevedore, through which the oslo libraries find their drivers, keeps its cache."""

import os
from pathlib import Path

VARIABLE = "XDG_CACHE_HOME"
FALLBACK = Path("/var/cache/guestagent")
"""For callers that have read no option yet, which is as late as :func:`use` may come."""


def use(directory: Path) -> None:
    """Give stevedore's cache a place where the account has none of its own; repeating it is safe.

    Without HOME and without a passwd entry stevedore writes below a directory that is literally
    called ``~``, and as root it creates whatever HOME says (5.10, ``_cache._get_cache_dir``). It looks
    once, when it is imported, and importing oslo.config imports it: call this before.

    An account with a cache of its own keeps it. Nothing is written here, and stevedore works without
    its cache where the directory cannot be written, as on a read-only root.

    :param directory: absolute; it need not exist.
    """
    if not Path(os.environ.get(VARIABLE, "")).is_absolute() and not _has_home():
        os.environ[VARIABLE] = str(directory)


def _has_home() -> bool:
    try:
        home = Path.home()
    except RuntimeError:
        return False
    # An empty HOME, and that of some service accounts, is the root directory: no place for a cache.
    return home.is_absolute() and home != Path("/") and home.is_dir() and os.access(home, os.W_OK | os.X_OK)
