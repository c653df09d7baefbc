"""The floor: the least that oslo.messaging can be, an RPC server that answers ``rpc_ping``.

Everything that the agent cannot do without is here, and set up as the agent sets it up: the threading
backend, chosen before the first import, and eventlet kept out; options from files; oslo.log; the same
topic, server name and version; the same number of threads. It runs in an environment that holds
oslo.messaging alone, so it shares no line with the agent.
"""

import sys
import threading

sys.modules["eventlet"] = None  # type: ignore[assignment]

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402

WORKERS = 8
"""As the agent's ``rpc_workers``."""


class Ping:
    """The endpoint."""

    def rpc_ping(self, context: dict[str, object]) -> bool:
        return True


def main() -> None:
    """Answer until SIGTERM."""
    conf = cfg.CONF
    log.register_options(conf)
    conf.register_opts([cfg.StrOpt("guest_id")])
    conf(sys.argv[1:], project="floor", default_config_files=[], default_config_dirs=[])
    log.setup(conf, "floor")
    target = oslo_messaging.Target(topic=f"guestagent.{conf.guest_id}", server=conf.guest_id, version="1.3")
    transport = oslo_messaging.get_rpc_transport(conf)
    server = oslo_messaging.get_rpc_server(transport, target, [Ping()], executor="threading")
    server.start(override_pool_size=WORKERS)
    threading.Event().wait()


if __name__ == "__main__":
    main()
