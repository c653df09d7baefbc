"""A bare oslo.messaging server to try the tests' own tools on: ``oslo_peer.py URL EXCHANGE GUEST``."""

import sys
import time
from typing import Any

from guestagent.system import threads

threads.select()

import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402


class Endpoint:
    """Does what the messages ask for, and no more."""

    def __init__(self, transport: oslo_messaging.Transport, guest: str) -> None:
        self._conductor = oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic="trove-conductor", version="1.0")
        )
        self._guest = guest

    def echo(self, context: dict[str, Any], **arguments: Any) -> list[dict[str, Any]]:
        return [context, arguments]

    def sleep(self, context: dict[str, Any], seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def fail(self, context: dict[str, Any]) -> None:
        raise ValueError("no", 3)

    def report(self, context: dict[str, Any]) -> str:
        about = {"instance_id": self._guest, "sent": time.time()}
        self._conductor.cast({}, "heartbeat", payload={"service_status": "healthy"}, **about)
        self._conductor.call({}, "update_backup", backup_id="b", **about)
        return "answered"


def main(url: str, exchange: str, guest: str) -> None:
    cfg.CONF([])
    oslo_messaging.set_transport_defaults(exchange)
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    target = oslo_messaging.Target(topic=f"guestagent.{guest}", server=guest, version="1.3")
    server = oslo_messaging.get_rpc_server(transport, target, [Endpoint(transport, guest)], executor="threading")
    server.start()
    server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
