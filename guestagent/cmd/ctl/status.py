"""``guestagentctl status``: how the agent and its database are, at a glance."""

import argparse
import datetime
import functools
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.agent import connected
from guestagent.cmd.ctl.command import Answer, Command, add_timeout
from guestagent.cmd.ctl.local import Ask, is_silence, over_socket
from guestagent.contract.call import OWN
from guestagent.contract.errors import GuestAgentError
from guestagent.rpc.local_client import Away

MIB = 1 << 20


def _run(options: argparse.Namespace) -> Answer:
    # Over the broker, because an agent that does not answer there is a sick one, however well it looks from here.
    try:
        with connected(cfg.CONF) as agent:
            found = _look(functools.partial(agent.call, namespace=OWN, timeout=options.timeout))
    except GuestAgentError as error:
        if not is_silence(error):
            raise
        found = _look_from_here(options.timeout, error)
    return Answer(found, _render(found))


def _look(ask: Ask) -> dict[str, Any]:
    status, document, process = (ask(method, {}) for method in ("get_status", "describe", "get_diagnostics"))
    return {
        "guest_id": document["guest_id"],
        "runtime": document["runtime"],
        "datastore": document["datastore"],
        **status,
        "agent": process,
        "broker": None,
    }


def _look_from_here(timeout: float, error: GuestAgentError) -> dict[str, Any]:
    """What the agent says over its socket, and what is wrong with the broker.

    :raises GuestAgentError: what is wrong with the broker, where the agent says nothing either.
    """
    try:
        found = _look(over_socket(cfg.CONF, timeout))
    except Away:
        raise error from None
    return {**found, "broker": str(error)}


def _render(found: Mapping[str, Any]) -> str:
    datastore, agent = found["datastore"], found["agent"]
    uptime = datetime.timedelta(seconds=round(agent["uptime"]))
    trouble = {} if found["broker"] is None else {"broker": found["broker"]}
    return text.facts(
        {
            "guest": found["guest_id"],
            "service status": found["service_status"],
            "phase": found["phase"],
            "wanted": found["wanted"],
            "operation": _operation(found["operation"]),
            "datastore": f"{datastore['name']} {found['datastore_version'] or ''}".rstrip(),
            "plugin": f"{datastore.get('distribution')} {datastore.get('version')}",
            "runtime": f"{found['runtime']['name']} {found['runtime']['version']}",
            "agent": f"up {uptime}, {agent['vm_rss'] / MIB:.1f} MiB, {agent['threads']} threads",
            **trouble,
        }
    )


def _operation(operation: Mapping[str, Any] | None) -> str:
    if operation is None:
        return "none"
    return f"{operation['name']} for {operation['seconds']:.0f} s (request {operation['request_id']})"


COMMAND = Command(
    name="status",
    summary="how the agent and its database are, and what the agent is doing",
    run=_run,
    examples="""\
guestagentctl status
guestagentctl status --config-dir /etc/trove/conf.d --json""",
    add_arguments=lambda parser: add_timeout(parser, 15),
)
