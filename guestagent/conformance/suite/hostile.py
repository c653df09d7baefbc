"""What nobody should send: it is refused with an error of the contract, or means exactly what it says."""

import uuid

import pytest

from guestagent import contract
from guestagent.conformance.arguments import ill_typed, least
from guestagent.conformance.claims import claims, given
from guestagent.conformance.datastore import Account
from guestagent.conformance.guest import KEPT, PASSWORD, Guest
from guestagent.conformance.suite import databases, users
from guestagent.contract import Call

NAMES = (
    "it's",
    'say "hi"',
    "back`tick",
    "'; DROP DATABASE kept; --",
    '"; DROP DATABASE kept; --',
    "`; DROP DATABASE kept; --",
    "back\\slash",
    "%s %(name)s {name} $name",
    "* ~* +@all",
    "a/../../b",
    "..",
    "a@b",
    "数据库",
    "قاعدة",
    "😀",
    "two words",
    " leading",
    "trailing ",
    "",
    "x" * 63,
    "x" * 65,
    "x" * 300,
    "nul\0inside",
    "new\nline",
    "tab\tinside",
    "\ud800",
)
PASSWORDS = (
    "'; DROP USER keeper; --",
    'quote"',
    "back\\slash",
    "two words",
    "пароль",
    "😀 %s",
    "",
    "x" * 500,
    ">hash #hash",
    "nul\0",
    "new\nline",
    "\ud800",
)
REFUSALS = ("InvalidValue", "InvalidArguments")
CALLS = {declared.name: declared for declared in contract.CALLS}
BOUND = pytest.mark.parametrize("claimed", CALLS)


class TestHostileNames:
    """Names and passwords are never read as anything else."""

    @pytest.fixture(autouse=True)
    def as_before(self, guest: Guest) -> None:
        assert guest.agent.running

    @claims("create_database", "list_databases", "delete_database")
    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_database(self, guest: Guest, name: str) -> None:
        before = databases.names(guest)
        refused = guest.attempt("create_database", databases=[{"_name": name}])
        if refused is None:
            assert set(databases.names(guest)) - set(before) == {name}
            guest.do("delete_database", database={"_name": name})
        else:
            assert refused.kind in REFUSALS, refused
        assert databases.names(guest) == before
        assert guest.status() == "healthy"

    @claims("create_user", "list_users", "delete_user")
    @given("enters")
    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_a_user(self, guest: Guest, name: str) -> None:
        before = users.listed(guest)
        refused = guest.attempt("create_user", users=[users.user(name)])
        if refused is None:
            with users.dropped_afterwards(guest, name):
                assert set(users.names(guest)) - {one["_name"] for one in before} == {name}
                assert guest.datastore.enters(Account(name, PASSWORD))
        else:
            assert refused.kind in REFUSALS, refused
        assert users.listed(guest) == before
        assert guest.status() == "healthy"

    @claims("create_user", "delete_user")
    @given("enters")
    @pytest.mark.parametrize("password", PASSWORDS, ids=lambda password: ascii(password[:30]))
    def test_a_password(self, guest: Guest, password: str) -> None:
        name = f"p{uuid.uuid4().hex[:8]}"
        refused = guest.attempt("create_user", users=[users.user(name, password)])
        if refused is None:
            with users.dropped_afterwards(guest, name):
                assert guest.datastore.enters(Account(name, password))
        else:
            assert refused.kind in REFUSALS, refused
            assert not password or ascii(password) not in ascii(refused.sentence)
            assert name not in users.names(guest)

    @claims("list_databases")
    @pytest.mark.parametrize("marker", ["'; --", "nul\0", "😀", "%", "a`b", "a:b", "\ud800"], ids=ascii)
    def test_the_marker_of_a_page(self, guest: Guest, marker: str) -> None:
        refused = guest.attempt("list_databases", limit=1, marker=marker, include_marker=True)
        assert refused is None or refused.kind in REFUSALS, refused
        assert databases.names(guest) == [KEPT]

    @claims("list_databases")
    def test_the_limit_of_a_page(self, guest: Guest) -> None:
        assert guest.refusal("list_databases", limit=-1).kind == "InvalidValue"


class TestHostileArguments:
    """Arguments that the contract does not know, for every call that the plugin supports."""

    def refused(self, guest: Guest, declared: Call, arguments: dict[str, object]) -> None:
        """As a call, whatever it is: a cast has the same answer, at the conductor."""
        how = {"namespace": declared.namespaces[0] or None, "key": guest.key}
        failure = guest.wire.ask(guest.id, declared.name, arguments, **how).failure
        assert failure is not None
        assert failure.class_name == "InvalidArguments", failure.message
        assert failure.message.isprintable()

    @BOUND
    def test_one_that_nobody_declared(self, guest: Guest, claimed: str) -> None:
        declared = CALLS[claimed]
        self.refused(guest, declared, {**least(declared), "no_such_argument": 1})

    @BOUND
    def test_one_of_another_type_and_one_that_is_missing(self, guest: Guest, claimed: str) -> None:
        declared = CALLS[claimed]
        wrong = ill_typed(declared)
        if wrong is not None:
            self.refused(guest, declared, wrong)
        if least(declared):
            self.refused(guest, declared, {})

    def test_a_call_that_is_not_in_the_contract(self, guest: Guest) -> None:
        for name in ("no_such_call", "__init__", "service_status", "guest", "tidy"):
            failure = guest.wire.ask(guest.id, name, {}, key=guest.key).failure
            assert failure is not None
            assert failure.class_name == "UnknownCall"


class TestWrongKey:
    """Requests that are not encrypted with the instance's key."""

    @pytest.mark.parametrize("key", [None, "of somebody else"])
    def test_they_are_refused_before_anything_is_done(self, guest: Guest, key: str | None) -> None:
        pid = guest.server_pid
        failure = guest.wire.ask(guest.id, "restart", {"a": 1}, key=key).failure
        assert failure is not None
        assert failure.class_name == "InvalidMessage"
        assert guest.server_pid == pid
