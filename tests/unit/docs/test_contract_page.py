"""The page of the contract is what the code says."""

import subprocess
import sys
from pathlib import Path

from guestagent.contract import CALLS

ROOT = Path(__file__).parents[3]


def test_the_page_is_fresh() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stderr


def test_the_page_has_every_call_with_its_arguments() -> None:
    page = (ROOT / "docs" / "contract.md").read_text()
    for declared in CALLS:
        line = next(line for line in page.splitlines() if line.startswith(f"- `{declared.name}`: "))
        assert all(f"`{name}`: " in line for name in declared.arguments.__struct_fields__)
