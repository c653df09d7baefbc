"""``guestagentctl describe``: the capability document."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.agent import connected
from guestagent.cmd.ctl.command import Answer, Command, add_timeout
from guestagent.contract.call import OWN


def _run(options: argparse.Namespace) -> Answer:
    with connected(cfg.CONF) as agent:
        document = agent.call("describe", {}, namespace=OWN, timeout=options.timeout)
    return Answer(document, _render(document))


def _render(document: Mapping[str, Any]) -> str:
    runtime, contract = document["runtime"], document["contract"]
    head = {
        "guest": document["guest_id"],
        "runtime": f"{runtime['name']} {runtime['version']}, plugin API {runtime['plugin_api']}",
        "contract": ", ".join(f"{spoken['namespace'] or 'trove'} {spoken['version']}" for spoken in contract),
    }
    plugins = [("datastore", document["datastore"]), *_strategies(document["strategies"])]
    return "\n\n".join(
        [
            text.facts(head),
            text.table(
                ["PLUGIN", "NAME", "PACKAGE", "VERSION", "CLASS"],
                [[kind, *map(plugin.get, ("name", "distribution", "version", "class"))] for kind, plugin in plugins],
            ),
            text.table(["CAPABILITY", "SUPPORTED"], document["capabilities"].items()),
            text.table(
                ["CALL", "SUPPORTED", "SINCE", "KIND", "WHAT IT DOES"],
                [
                    [call["name"], call["supported"], call["since"], _kind(call), call["summary"]]
                    for call in document["calls"]
                ],
            ),
        ]
    )


def _strategies(strategies: Mapping[str, list[dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, plugins in strategies.items():
        for plugin in plugins:
            yield kind, plugin


def _kind(call: Mapping[str, Any]) -> str:
    if call["cast"]:
        return "cast"
    return "read" if call["reads"] else "change"


COMMAND = Command(
    name="describe",
    summary="what the running agent can do: its plugins, and every call with its support",
    run=_run,
    examples="""\
guestagentctl describe
guestagentctl describe --json | jq '.calls[] | select(.supported) | .name'""",
    add_arguments=lambda parser: add_timeout(parser, 15),
)
