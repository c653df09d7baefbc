"""The kit as a plugin of pytest: the broker, the guests, and the choice of tests."""

import os
import shutil
from collections.abc import Iterator

import pytest

from guestagent.conformance.claims import claimed_by, is_meant
from guestagent.conformance.datastore import Datastore
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.disk import MakeDisk, make_disk
from guestagent.conformance.guest import Guest, MakeGuest
from guestagent.conformance.messages import Bus
from guestagent.conformance.rabbit import SERVER, GivenBroker, Rabbit

__all__ = ["bus", "guest", "make_disk", "make_guest"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a plugin does not claim: that it is refused is a test of its own."""
    claimed: dict[type[Datastore], set[str]] = {}
    meant: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        datastore = _described(item)
        if datastore is not None and datastore not in claimed:
            claimed[datastore] = claimed_by(datastore)
        meant[datastore is None or is_meant(item, datastore, claimed[datastore])].append(item)
    if meant[False]:
        config.hook.pytest_deselected(items=meant[False])
        items[:] = meant[True]


def _described(node: pytest.Item) -> type[Datastore] | None:
    found = getattr(getattr(node, "module", None), "DATASTORE", None)
    return found if isinstance(found, type) and issubclass(found, Datastore) else None


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """The broker that ``TRANSPORT_URL`` names; without it a RabbitMQ of the session's own."""
    url = os.environ.get("TRANSPORT_URL")
    if url:
        yield GivenBroker(url)
        return
    if not SERVER.exists():
        pytest.fail(
            "Guests need a broker: install rabbitmq-server, or name one with TRANSPORT_URL=rabbit://USER:PASSWORD@HOST/"
        )
    with Rabbit(tmp_path_factory.mktemp("rabbit")) as rabbit:
        yield rabbit


@pytest.fixture(scope="module")
def make_guest(bus: Bus, request: pytest.FixtureRequest, make_disk: MakeDisk) -> Iterator[MakeGuest]:
    """Makes guests of a module, which share a store for backups; not started. They end with the module."""
    datastore: type[Datastore] = request.module.DATASTORE
    for program in datastore.programs:
        if shutil.which(program) is None:
            pytest.fail(f"{datastore.name} needs the program {program}, which is not installed")
    bus.start()
    guests: list[Guest] = []
    with reachable_directory() as directory:

        def make(kind: type[Guest] = Guest) -> Guest:
            guests.append(kind(datastore, directory / str(len(guests)), directory / "storage", bus))
            return guests[-1]

        yield make
        for guest in guests:
            guest.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {guest.id}\n{guest.agent.tail(200)}")


@pytest.fixture(scope="module")
def guest(make_guest: MakeGuest) -> Guest:
    """A prepared guest for all tests of a module, which use names of their own."""
    made = make_guest()
    made.prepare()
    return made
