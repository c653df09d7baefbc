"""The main job on one machine: ``python -m examples.demo``.

An agent, a real MariaDB and a stand-in for the control plane, all but the database in this process. They talk over
a bus in memory, or over the broker that ``TRANSPORT_URL`` names (``rabbit://user:password@host:5672/``). Everything
that they write is in one temporary directory, which is gone at the end.
"""

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from examples.screen import Screen
from guestagent.system import threads

if TYPE_CHECKING:
    from examples.machine import Machine

EMBEDDED = "fake:///"
LOG_LINES = 20
INTERRUPTED = 130
"""The shell's exit code after Ctrl-C."""


def main() -> int:
    """Play the demo.

    :returns: 0 when everything was as it should be, 1 when something was not, 130 after Ctrl-C or SIGTERM.
    """
    threads.select()
    from examples.machine import Machine

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen(sys.stdout)
    started = time.monotonic()
    url = os.environ.get("TRANSPORT_URL") or EMBEDDED
    with Machine(url) as machine:
        screen.note(f"The bus is {'in this process' if url == EMBEDDED else 'the broker of TRANSPORT_URL'}.")
        screen.note(f"Everything is below {machine.root} and goes away at the end.")
        code = _play(machine, screen)
    if code == 0:
        screen.good(f"All as expected, in {time.monotonic() - started:.1f} s; nothing is left behind.")
    return code


def _play(machine: "Machine", screen: Screen) -> int:
    from oslo_config import cfg
    from oslo_log import log
    from pymysql import MySQLError

    from examples.control_plane import Unexpected
    from examples.scenario import Scenario
    from guestagent import conf
    from guestagent.contract.errors import GuestAgentError

    log.register_options(cfg.CONF)
    conf.load(cfg.CONF, ["--config-dir", str(machine.config_dir)], "guestagent")
    log.setup(cfg.CONF, "guestagent")
    # oslo.log writes what nobody caught to its file only, which is about to go.
    sys.excepthook = sys.__excepthook__
    try:
        Scenario(cfg.CONF, screen).play()
    except (Unexpected, GuestAgentError, MySQLError) as error:
        screen.bad(f"Not as expected: {error}")
        _show_log(machine, screen)
        return 1
    except KeyboardInterrupt:
        screen.bad("Interrupted.")
        return INTERRUPTED
    return 0


def _show_log(machine: "Machine", screen: Screen) -> None:
    screen.note("The end of the agent's log:")
    for line in machine.log_file.read_text().splitlines()[-LOG_LINES:]:
        screen.note(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
