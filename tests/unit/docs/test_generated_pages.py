"""The pages that are made from code are what the code says."""

import pytest

from docs import generate
from guestagent.contract import CALLS


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_fresh(name: str) -> None:
    assert (generate.HERE / name).read_text() == generate.PAGES[name](), "run python -m docs.generate"


def test_the_page_of_the_contract_has_every_call_with_its_arguments() -> None:
    page = (generate.HERE / "contract.md").read_text()
    for declared in CALLS:
        line = next(line for line in page.splitlines() if line.startswith(f"- `{declared.name}`: "))
        assert all(f"`{name}`: " in line for name in declared.arguments.__struct_fields__)


def test_the_matrix_has_every_call() -> None:
    page = (generate.HERE / "matrix.md").read_text()
    assert all(f"| `{declared.name}` | {declared.since} |" in page for declared in CALLS)


def test_a_stale_page_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(generate, "PAGES", {"matrix.md": lambda: "something else"})
    assert generate.main(["--check"]) == 1
    assert "matrix.md is stale" in capsys.readouterr().err
