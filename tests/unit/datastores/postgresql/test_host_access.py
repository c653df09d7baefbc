"""Who may log in: the rules, in the order in which the server reads them."""

import pytest
from guestagent_postgresql import host_access

MODES = (None, "basic", "enforced", "mtls")


@pytest.mark.parametrize("mode", MODES)
def test_the_agent_comes_from_the_guest_alone(mode: str | None) -> None:
    lines = host_access.rules("guestagent", mode).splitlines()
    rules = [line.split() for line in lines if not line.startswith("#")]
    first = next(rule for rule in rules if rule[0].startswith("host") and rule[2] in ('"guestagent"', "all"))
    assert first == ["host", "all", '"guestagent"', "all", "reject"]
    assert not [rule for rule in rules if "trust" in rule]
    assert not [rule for rule in rules if rule[0].startswith("host") and rule[1] == "replication"]


@pytest.mark.parametrize("mode", MODES[1:])
def test_the_mode_can_be_read_from_them(mode: str) -> None:
    assert host_access.mode_of(host_access.rules("guestagent", mode)) == mode


def test_three_accounts_of_the_guest_are_let_in() -> None:
    lines = host_access.accounts("guestagent", "postgres").splitlines()
    pairs = {tuple(line.split()[1:]) for line in lines if not line.startswith("#")}
    assert {(account, role) for account in ("root", "postgres") for role in ("guestagent", "postgres")} <= pairs
    assert {account for account, _ in pairs} == {account for account, _ in pairs if account.isalnum()}
