"""``guestagentctl status``: how the agent and its database are, at a glance."""

import argparse
import datetime
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.agent import connected
from guestagent.cmd.ctl.command import Answer, Command, add_timeout
from guestagent.contract.call import OWN

MIB = 1 << 20


def _run(options: argparse.Namespace) -> Answer:
    with connected(cfg.CONF) as agent:
        status, document, process = (
            agent.call(method, {}, namespace=OWN, timeout=options.timeout)
            for method in ("get_status", "describe", "get_diagnostics")
        )
    found = {
        "guest_id": document["guest_id"],
        "runtime": document["runtime"],
        "datastore": document["datastore"],
        **status,
        "agent": process,
    }
    return Answer(found, _render(found))


def _render(found: Mapping[str, Any]) -> str:
    datastore, agent = found["datastore"], found["agent"]
    uptime = datetime.timedelta(seconds=round(agent["uptime"]))
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
