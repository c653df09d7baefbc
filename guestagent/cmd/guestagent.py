"""``guestagent``: runs the agent of this machine's database until it is told to stop."""

import gc
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestagent.plugins import cache
from guestagent.system import threads
from guestagent.system.signals import Signals

if TYPE_CHECKING:
    from oslo_config import cfg

    from guestagent.plugins.loader import Loaded
    from guestagent.service import AgentService

PROGRAM = "guestagent"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent.

    :returns: 0 after SIGTERM or SIGINT; the plugin error's own code when the image or what was injected is
        wrong, see :mod:`guestagent.plugins.errors`; 2 when a file cannot be read.
    """
    given = sys.argv[1:] if arguments is None else arguments
    # Nothing of what is imported is ever garbage; looking for some costs a tenth of the start.
    gc.disable()
    cache.use(cache.FALLBACK)
    threads.select()
    from oslo_config import cfg
    from oslo_log import log

    from guestagent import conf

    log.register_options(cfg.CONF)
    try:
        conf.load(cfg.CONF, given, PROGRAM)
    except cfg.Error as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 2
    log.setup(cfg.CONF, PROGRAM)
    return _run(cfg.CONF, given)


def _run(conf: "cfg.ConfigOpts", arguments: Sequence[str]) -> int:
    from oslo_log import log

    from guestagent.plugins.declaration import Declaration
    from guestagent.plugins.errors import PluginError
    from guestagent.plugins.loader import load

    try:
        loaded = load(Declaration.read(conf))
    except PluginError as error:
        wrong = error
    else:
        return _serve(conf, loaded, arguments)
    # Outside of the handler, so that the log has the sentence once.
    log.getLogger(__name__).critical("%s", wrong)
    _report_failure(conf)
    return wrong.exit_code


def _serve(conf: "cfg.ConfigOpts", loaded: "Loaded", arguments: Sequence[str]) -> int:
    from oslo_log import log

    from guestagent.contract.errors import GuestAgentError
    from guestagent.service import AgentService

    signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        service = AgentService(conf, loaded)
    except GuestAgentError as error:
        log.getLogger(__name__).critical("%s", error)
        return 1
    service.start()
    # Nor is it looked through for garbage from now on.
    gc.freeze()
    gc.enable()
    try:
        while signals.wait() is signal.SIGHUP:
            _reload(service, arguments)
    finally:
        service.stop()
    return 0


def _reload(service: "AgentService", arguments: Sequence[str]) -> None:
    """Let the service take the new values; a file that cannot be read changes nothing."""
    from oslo_config import cfg
    from oslo_log import log

    from guestagent import conf

    try:
        conf.load(cfg.ConfigOpts(), arguments, PROGRAM)
        service.reset()
    except cfg.Error as error:
        log.getLogger(__name__).error("The configuration was not read again: %s", error)


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
