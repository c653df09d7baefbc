"""Databases."""

from collections.abc import Callable

from guestagent.conformance.guest import KEPT, Guest
from guestagent.conformance.suite import databases
from guestagent.conformance.suite.scenarios.scenario import FIRST, SECOND, Arguments, Scenario, in_order


def _databases(*names: str) -> Callable[[Guest], Arguments]:
    return lambda guest: {"databases": [{"_name": name} for name in names]}


def _no_databases(guest: Guest) -> None:
    for name in {FIRST, SECOND}.intersection(databases.names(guest)):
        guest.do("delete_database", database={"_name": name})


DATABASES = [
    Scenario(
        "create databases",
        "create_database",
        _databases(FIRST, SECOND),
        _no_databases,
        ("list_databases", "delete_database"),
    ),
    Scenario(
        "create databases, one of which cannot be",
        "create_database",
        _databases(FIRST, KEPT, SECOND),
        _no_databases,
        ("list_databases", "delete_database"),
        fails=True,
    ),
    Scenario(
        "drop a database",
        "delete_database",
        lambda guest: {"database": {"_name": FIRST}},
        in_order(_no_databases, lambda guest: guest.do("create_database", _databases(FIRST)(guest))),
        ("list_databases", "create_database"),
    ),
]
