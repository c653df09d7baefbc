"""What the plugin says of itself is so: what it does not claim is refused, in the form that the caller understands."""

import pytest

from guestagent import contract
from guestagent.conformance.arguments import least
from guestagent.conformance.claims import claimed_by
from guestagent.conformance.datastore import NEEDED, is_given
from guestagent.conformance.guest import Guest
from guestagent.contract.call import declared_by

CALLS = {declared.name: declared for declared in contract.CALLS}
CASTS = [declared.name for declared in contract.CALLS if declared.notifies]


class TestClaims:
    """The capability document."""

    def test_the_agent_claims_what_the_class_overrides(self, guest: Guest) -> None:
        document = guest.ask("describe")
        claimed = {call["name"] for call in document["calls"] if call["supported"]}
        assert claimed == claimed_by(type(guest.datastore))
        assert document["datastore"]["name"] == guest.datastore.name

    def test_a_capability_is_claimed_when_all_that_it_requires_is(self, guest: Guest) -> None:
        claimed, found = claimed_by(type(guest.datastore)), guest.ask("describe")["capabilities"]
        for capability in contract.CAPABILITIES:
            required = {declared.name for declared in declared_by(capability) if declared.required}
            assert found[capability.__name__.lower()] == required.issubset(claimed), capability

    def test_everything_that_is_claimed_can_be_tried(self, guest: Guest) -> None:
        datastore = type(guest.datastore)
        claimed = claimed_by(datastore)
        lacking = [
            f"{part} (for {' or '.join(calls)})"
            for part, calls in NEEDED.items()
            if claimed.intersection(calls) and not is_given(datastore, part) and part not in datastore.untried
        ]
        assert not lacking, f"fill in of {datastore.__name__}, or say in untried why not: {', '.join(lacking)}"


class TestUnclaimed:
    """What the plugin does not override."""

    @pytest.mark.parametrize("unclaimed", CALLS)
    def test_it_is_answered_not_supported(self, guest: Guest, unclaimed: str) -> None:
        declared = CALLS[unclaimed]
        how = {"namespace": declared.namespaces[0] or None, "key": guest.key}
        failure = guest.wire.ask(guest.id, unclaimed, least(declared), **how).failure
        assert failure is not None
        assert (failure.class_name, failure.module) == ("NotSupported", "guestagent.contract.errors")
        assert unclaimed in failure.message
        assert guest.datastore.name in failure.message
        assert "Traceback" not in "".join(failure.traceback)

    @pytest.mark.parametrize("unclaimed", CASTS)
    def test_a_cast_is_answered_at_the_conductor(self, guest: Guest, unclaimed: str) -> None:
        refused = guest.refusal(unclaimed, least(CALLS[unclaimed]))
        assert refused.kind == "NotSupported"
        assert unclaimed in refused.sentence

    def test_the_guest_is_as_before(self, guest: Guest) -> None:
        guest.wait_for_status("healthy", after=guest.heard)
        assert guest.status() == "healthy"
