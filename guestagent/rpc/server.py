"""The RPC server: oslo.messaging's, with a lane for prompt calls and an end that loses nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from oslo_log import log
from oslo_messaging._drivers.amqpdriver import AMQPListener, RpcAMQPListener
from oslo_messaging.rpc.server import RPCServer

from guestagent.contract.call import VERSIONS
from guestagent.rpc.dispatcher import Dispatcher, is_awaited, is_prompt
from guestagent.rpc.envelope import Envelope
from guestagent.rpc.transport import guest_topic

LOG = log.getLogger(__name__)

PROMPT_THREADS = 2


class Server(RPCServer):  # type: ignore[misc]
    """Listens on the guest's topic.

    :param transport: the connection.
    :param guest_id: both the topic's and the server's name: the control plane declares the same
        queues before the guest boots.
    :param dispatcher: answers.
    :param envelope: seals what the server sends to itself.
    :param workers: threads for everything that is not prompt.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport,
        guest_id: str,
        dispatcher: Dispatcher,
        envelope: Envelope,
        workers: int,
    ) -> None:
        version = ".".join(map(str, VERSIONS[""]))
        target = oslo_messaging.Target(topic=guest_topic(guest_id), server=guest_id, version=version)
        super().__init__(transport, target, dispatcher, "threading")
        self._envelope = envelope
        # Not oslo.messaging's pool: its threads wake up every second, and an end waits for that.
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="calls")
        self._prompt = ThreadPoolExecutor(PROMPT_THREADS, thread_name_prefix="prompt")

    def listen(self) -> None:
        """Start to take messages; waits for the broker for as long as it is away."""
        self.start()

    def drain(self, patience: float) -> None:
        """Take nothing new and return when everything that was taken is answered.

        What arrives from now on stays in the queue for the next start. oslo.messaging's own stop leaves
        the consumers registered, and acknowledges and forgets what the broker sends meanwhile; so they
        are cancelled first.

        :param patience: seconds that a broker which is away gets to hear of it.
        """
        stopping = threading.Thread(target=self._stop_taking, name="stop", daemon=True)
        stopping.start()
        stopping.join(patience)
        self._workers.shutdown(wait=True)
        self._prompt.shutdown(wait=True)
        if stopping.is_alive():
            LOG.warning("The broker is away; leaving without telling it")
        else:
            self.wait()

    def _create_listener(self) -> Any:
        made = super()._create_listener()
        if type(made._poll_style_listener) is RpcAMQPListener:
            # It has consumed nothing yet.
            made._poll_style_listener.__class__ = LateAcknowledgement
        return made

    def _stop_taking(self) -> None:
        listener = self.listener._poll_style_listener
        connection = getattr(listener, "conn", None)
        if connection is not None:
            # Only the polling thread may use the connection, and it sleeps until something arrives.
            threading.Thread(target=self._wake, name="wake", daemon=True).start()
            cancelled = threading.Event()
            listener._message_operations_handler.do(lambda: _cancel_consumers(connection, cancelled))
            cancelled.wait()
        self.stop()

    def _wake(self) -> None:
        context, arguments = self._envelope.seal_request({}, {})
        oslo_messaging.get_rpc_client(self.transport, self._target).cast(context, "rpc_ping", **arguments)

    def _on_incoming(self, incoming: list[Any]) -> None:
        if not is_awaited(incoming[0]):
            # A cast is only queued; here and now, because threads would overtake one another.
            self._process_incoming(incoming)
            _acknowledge(incoming[0])
            return
        _acknowledge(incoming[0])
        if is_prompt(incoming[0].message):
            self._prompt.submit(self._process_incoming, incoming)
        else:
            self._workers.submit(self._process_incoming, incoming)


class LateAcknowledgement(RpcAMQPListener):  # type: ignore[misc]
    """Takes messages without telling the broker that they are taken.

    oslo.messaging tells it before it looks at a message, and an agent that dies then has lost a cast. Ours are
    acknowledged when they are in the journal, which also knows those that the broker delivers again.
    """

    def __call__(self, message: Any) -> None:
        taken = len(self.incoming)
        AMQPListener.__call__(self, message)
        if len(self.incoming) == taken:
            message.acknowledge()  # it came again in the life of this agent, and is ignored


def _acknowledge(incoming: Any) -> None:
    """Tell the broker that a message is taken; to be called in the thread that polls, whose connection it is."""
    acknowledge = getattr(incoming.message, "acknowledge", None)
    if acknowledge is None:
        return  # the bus in memory
    try:
        acknowledge()
    except (AMQPError, KombuError, OSError) as error:
        LOG.warning("The broker does not know that a message was taken, and will deliver it again: %s", error)


def _cancel_consumers(connection: Any, cancelled: threading.Event) -> None:
    try:
        fanouts = [consumer for consumer in connection._consumers if consumer.type == "fanout"]
        connection.reset()
        for fanout in fanouts:
            fanout.queue.delete()
    finally:
        cancelled.set()
