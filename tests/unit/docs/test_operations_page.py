"""The page about operations names every call that changes something, and no other."""

import re
from pathlib import Path

from guestagent_mariadb.manager import MariaDBManager

from guestagent import contract

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def test_every_call_that_changes_something_is_in_the_table() -> None:
    section = PAGE.read_text().partition("## Which calls are ported")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for cell in rows for name in re.findall(r"`(\w+)`", cell)]
    changing = [
        declared.name for declared in contract.CALLS if not declared.reads and declared.supported_by(MariaDBManager)
    ]
    assert sorted(named) == sorted(changing)
