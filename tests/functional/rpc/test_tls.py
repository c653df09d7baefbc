"""TLS with the broker: its certificate is verified, and that it is for the host that the agent goes to."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.certificates import Authority
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.ports import LOOPBACK
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE

SOON = 15.0
"""Seconds within which an agent ends that never reached its broker."""

OverTls = Callable[..., AgentProcess]


class RabbitByAddress(Rabbit):
    """One whose certificate is for its address: kombu replaces the name "localhost" by it."""

    tls_host = LOOPBACK


@pytest.fixture(scope="module")
def by_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """A broker that can be verified by its address."""
    with RabbitByAddress(tmp_path_factory.mktemp("rabbit")) as rabbit:
        yield rabbit


@pytest.fixture
def over_tls(make_agent: MakeAgent) -> OverTls:
    """Makes agents that speak TLS with the broker."""

    def make(url: str, environment: Mapping[str, str] | None = None, **rabbit: object) -> AgentProcess:
        return make_agent(
            DATASTORE,
            transport_url=url,
            environment=environment,
            options={"oslo_messaging_rabbit": {"ssl": True, **rabbit}, "agent": {"flush_timeout": 1}},
        )

    return make


def twice(url: str) -> str:
    """The same ``transport_url`` with two hosts, as a cluster of brokers has it."""
    scheme, _, rest = url.partition("://")
    host = rest.rstrip("/")
    return f"{scheme}://{host},{host}/"


def check_refused(agent: AgentProcess, conductor: Conductor, reason: str) -> None:
    """The agent says why it does not speak to the broker, and does not."""
    agent.start()
    agent.wait_for_log(reason)
    assert conductor.of(agent.guest_id) == []
    assert agent.terminate(SOON) == 0


def test_a_broker_with_the_right_certificate_is_trusted(over_tls: OverTls, broker: Rabbit, wire: Wire) -> None:
    over_tls(broker.tls_url(), ssl_ca_file=broker.authority.file).boot(wire)


def test_so_is_a_cluster(over_tls: OverTls, by_address: Rabbit, exchange: str) -> None:
    with Wire(by_address, exchange) as wire:
        over_tls(twice(by_address.tls_url(LOOPBACK)), ssl_ca_file=by_address.authority.file).boot(wire)


def test_so_is_one_whose_authority_the_machine_trusts(over_tls: OverTls, by_address: Rabbit, exchange: str) -> None:
    trusts = {"SSL_CERT_FILE": str(by_address.authority.file)}
    with Wire(by_address, exchange) as wire:
        over_tls(by_address.tls_url(LOOPBACK), environment=trusts).boot(wire)


def test_a_certificate_for_another_host_is_not_trusted(over_tls: OverTls, broker: Rabbit, conductor: Conductor) -> None:
    agent = over_tls(broker.tls_url(LOOPBACK), ssl_ca_file=broker.authority.file)
    check_refused(agent, conductor, "IP address mismatch")


def test_nor_is_it_in_a_cluster(over_tls: OverTls, broker: Rabbit, conductor: Conductor) -> None:
    agent = over_tls(twice(broker.tls_url(LOOPBACK)), ssl_ca_file=broker.authority.file)
    check_refused(agent, conductor, "IP address mismatch")


def test_nor_from_an_authority_that_the_machine_trusts(over_tls: OverTls, broker: Rabbit, conductor: Conductor) -> None:
    agent = over_tls(broker.tls_url(LOOPBACK), environment={"SSL_CERT_FILE": str(broker.authority.file)})
    check_refused(agent, conductor, "IP address mismatch")


def test_unless_the_operator_wants_it_so(over_tls: OverTls, broker: Rabbit, wire: Wire) -> None:
    over_tls(
        broker.tls_url(LOOPBACK),
        ssl_ca_file=broker.authority.file,
        ssl_enforce_hostname_verification=False,
    ).boot(wire)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(
    over_tls: OverTls, broker: Rabbit, conductor: Conductor, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path, "Somebody else")
    check_refused(over_tls(broker.tls_url(), ssl_ca_file=strangers.file), conductor, "certificate verify failed")


def test_nor_is_any_where_the_machine_trusts_nobody(
    over_tls: OverTls, broker: Rabbit, conductor: Conductor, tmp_path: Path
) -> None:
    nobody = {"SSL_CERT_FILE": str(tmp_path / "none"), "SSL_CERT_DIR": str(tmp_path / "none.d")}
    check_refused(over_tls(broker.tls_url(), environment=nobody), conductor, "certificate verify failed")
