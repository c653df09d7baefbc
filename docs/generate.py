"""Writes the pages that are made from code: ``python -m docs.generate [--check]``.

``--check`` writes nothing and ends with 1 when a page is not what the code says.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from docs import contract_page, matrix_page

HERE = Path(__file__).parent
PAGES: Mapping[str, Callable[[], str]] = {"contract.md": contract_page.page, "matrix.md": matrix_page.page}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or compare them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    only_check = parser.parse_args(arguments).check
    stale = [name for name, page in PAGES.items() if not (HERE / name).exists() or (HERE / name).read_text() != page()]
    for name in stale:
        if only_check:
            sys.stderr.write(f"{name} is stale: run python -m docs.generate\n")
        else:
            (HERE / name).write_text(PAGES[name]())
    return 1 if stale and only_check else 0


if __name__ == "__main__":
    sys.exit(main())
