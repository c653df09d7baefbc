"""``guestagent``: runs the agent of this machine's database until it is told to stop."""

import queue
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestagent.plugins import cache
from guestagent.system import threads

if TYPE_CHECKING:
    from oslo_config import cfg

    from guestagent.plugins.loader import Loaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent.

    :returns: 0 after SIGTERM or SIGINT; the plugin error's own code when the image or what was injected is
        wrong, see :mod:`guestagent.plugins.errors`; 2 when a file cannot be read.
    """
    cache.use(cache.FALLBACK)
    threads.select()
    from oslo_config import cfg
    from oslo_log import log

    from guestagent import conf

    log.register_options(cfg.CONF)
    try:
        conf.load(cfg.CONF, sys.argv[1:] if arguments is None else arguments, "guestagent")
    except cfg.Error as error:
        sys.stderr.write(f"guestagent: {error}\n")
        return 2
    log.setup(cfg.CONF, "guestagent")
    return _run(cfg.CONF)


def _run(conf: "cfg.ConfigOpts") -> int:
    from oslo_log import log

    from guestagent.plugins.declaration import Declaration
    from guestagent.plugins.errors import PluginError
    from guestagent.plugins.loader import load

    try:
        loaded = load(Declaration.read(conf))
    except PluginError as error:
        wrong = error
    else:
        return _serve(conf, loaded)
    # Outside of the handler, so that the log has the sentence once.
    log.getLogger(__name__).critical("%s", wrong)
    _report_failure(conf)
    return wrong.exit_code


def _serve(conf: "cfg.ConfigOpts", loaded: "Loaded") -> int:
    from oslo_log import log

    from guestagent.contract.errors import GuestAgentError
    from guestagent.service import AgentService

    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.put(number))
    try:
        service = AgentService(conf, loaded)
    except GuestAgentError as error:
        log.getLogger(__name__).critical("%s", error)
        return 1
    service.start()
    while signals.get() == signal.SIGHUP:
        service.reset()
    service.stop()
    return 0


def _report_failure(conf: "cfg.ConfigOpts") -> None:
    """Let the instance fail at once, not when the control plane loses its patience."""
    if not conf.guest_id:
        return
    from guestagent.contract.states import ServiceStatus
    from guestagent.rpc import envelope, transport
    from guestagent.rpc.conductor import Conductor

    sealed = envelope.for_instance(conf.instance_rpc_encr_key, conf.guest_id)
    conductor = Conductor(transport.connect(conf), conf.conductor_queue, conf.guest_id, sealed)
    conductor.heartbeat(ServiceStatus.FAILED)
    conductor.flush(conf.agent.flush_timeout)


if __name__ == "__main__":
    sys.exit(main())
