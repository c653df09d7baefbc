"""Which requirements a version of the runtime meets."""

import sys

import pytest

from guestagent.plugins.compatibility import unmet


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("guestagent", "0.1"),
        ("guestagent>=0.1", "0.1.0"),
        ("guestagent[backup]>=0.1", "0.1.0"),
        ("guestagent>=0.1.0", "0.1"),
        ("guestagent >= 0.1, < 1", "0.9"),
        ("guestagent (>=1.2)", "1.10"),
        ("guestagent>=1.2", "1.3.0.dev4"),
        ("guestagent~=1.2", "1.9"),
        ("guestagent>=9; extra == 'test'", "0.1"),
        ("guestagent>=9; python_version < '3'", "0.1"),
        ("guestagent-alpha>=9", "0.1"),
        ("guestagent.alpha>=9", "0.1"),
        ("guestagents>=9", "0.1"),
        ("msgspec>=9", "0.1"),
    ],
)
def test_met(requirement: str, version: str) -> None:
    assert unmet([requirement], version) is None


@pytest.mark.parametrize(
    ("requirement", "version"),
    [
        ("guestagent>=0.1.1", "0.1"),
        ("guestagent[backup]>=0.1.1", "0.1"),
        ("guestagent>=1.10", "1.9"),
        ("guestagent (>=2)", "1.9"),
        ("guestagent>1", "1.0"),
        ("guestagent==2.*", "1.9"),
        ("guestagent<1", "1.0"),
        ("guestagent~=1.2", "2.0"),
        ("guestagent>=1.2", "1.1.0.dev4"),
        ("Guestagent>=2; python_version > '3'", "1"),
    ],
)
def test_unmet(requirement: str, version: str) -> None:
    assert unmet(["msgspec", requirement], version) == requirement


def test_the_usual_form_costs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)

    assert unmet(["guestagent>=1.2"], "1.1") == "guestagent>=1.2"
    with pytest.raises(ImportError):
        unmet(["guestagent>=1.2,<3"], "1.1")
