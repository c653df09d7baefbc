"""The page about plugins is the making of the example: what a reader types is what lies in the tree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "datastore-memcached"
FILE = re.compile(r"^`(?P<name>[^`]+)`:\n\n```\w+\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
MOST_LINES = 120


def test_every_file_of_the_example_is_typed_on_the_page() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text()
    typed = {found["name"]: found["text"] for found in FILE.finditer(page)}
    files = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for pattern in ("*.cfg", "*.toml", "*/*.py")
        for path in EXAMPLE.glob(pattern)
    }
    assert typed == files


def test_the_example_is_small() -> None:
    package = (EXAMPLE / "guestagent_memcached").glob("*.py")
    assert sum(len(path.read_text().splitlines()) for path in package) < MOST_LINES
