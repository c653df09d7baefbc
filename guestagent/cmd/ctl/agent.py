"""The agent of this machine, asked over the broker as the control plane asks it."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from guestagent.contract.errors import GuestAgentError

if TYPE_CHECKING:
    from guestagent.rpc.client import Client

GRACE = 1
"""Seconds that the client has beyond its own time-out to say itself what went wrong."""


class NoAgent(GuestAgentError):
    """The files name no agent that could be asked, or no broker that could be used."""

    id = "ctl.no-agent"
    sentence = "No agent can be asked: {problem}."


class NoBroker(GuestAgentError):
    """The broker is away, or does not let us in."""

    id = "ctl.no-broker"
    sentence = "The broker of transport_url cannot be used: {problem}."


class Agent:
    """One agent. oslo.messaging waits for a broker for ever; this does not.

    :param client: makes the calls.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._heard = _LastWords()
        # Also keeps what the libraries say about their attempts from the standard error of a person.
        logging.getLogger().addHandler(self._heard)

    def call(self, method: str, arguments: dict[str, Any], *, namespace: str, timeout: float) -> Any:
        """Call a method and return its result.

        :param timeout: seconds to wait for the answer.
        :raises RemoteFailure: the guest refused or failed.
        :raises Unreachable: no answer came.
        :raises NoBroker: the question did not leave this machine.
        """
        return self._within(
            timeout + GRACE, lambda: self._client.call(method, arguments, namespace=namespace, timeout=timeout)
        )

    def cast(self, method: str, arguments: dict[str, Any], *, namespace: str, timeout: float) -> None:
        """Send a request that nobody answers.

        :param timeout: seconds to wait for the broker.
        :raises NoBroker: it did not leave this machine.
        """
        self._within(timeout, lambda: self._client.cast(method, arguments, namespace=namespace))

    def _within(self, seconds: float, work: Callable[[], Any]) -> Any:
        outcome: Future[Any] = Future()
        # A daemon: it must not keep the program from ending while it waits for a broker.
        threading.Thread(target=_see_through, args=(work, outcome), daemon=True).start()
        try:
            return outcome.result(seconds)
        except TimeoutError:
            raise NoBroker(problem=self._heard.text or f"nothing was heard of it for {seconds:g} s") from None


class _LastWords(logging.Handler):
    """Keeps the newest complaint of the libraries, which is the reason when nothing works."""

    text = ""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage().partition(" (retrying")[0]


def _see_through(work: Callable[[], Any], outcome: "Future[Any]") -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001  the thread that waits raises it
        outcome.set_exception(error)


@contextlib.contextmanager
def connected(conf: cfg.ConfigOpts) -> Iterator[Agent]:
    """The agent that the files are for.

    :raises NoAgent: they have no ``guest_id``, or a ``transport_url`` that cannot be used.
    :raises NoBroker: inside the block, when the broker refuses us.
    """
    if not conf.guest_id:
        raise NoAgent(
            problem="the files have no guest_id; name the agent's own with --config-dir, for example /etc/trove/conf.d"
        )
    # Half of this program needs no broker, and this import is most of what it costs.
    import oslo_messaging
    from amqp.exceptions import AMQPError
    from kombu.exceptions import KombuError

    from guestagent.rpc.client import Client

    try:
        client = Client(conf)
    except (oslo_messaging.InvalidTransportURL, ValueError):
        # Their text holds the URL, and the URL the password.
        raise NoAgent(problem="transport_url is not of the form rabbit://USER:PASSWORD@HOST:PORT/") from None
    except oslo_messaging.DriverLoadFailure as error:
        raise NoAgent(problem=f"transport_url asks for the driver {error.driver!r}, which is not installed") from None
    with contextlib.ExitStack() as stack:
        stack.push(client)
        try:
            yield Agent(client)
        except NoBroker:
            # To say goodbye the client would wait for the broker again.
            stack.pop_all()
            raise
        except (oslo_messaging.MessagingException, AMQPError, KombuError, OSError) as error:
            raise NoBroker(problem=str(error).rstrip(".") or type(error).__name__) from None
