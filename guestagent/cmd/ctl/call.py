"""``guestagentctl call``: any call of the contract, from the command line."""

import argparse
from typing import Any

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.agent import connected
from guestagent.cmd.ctl.arguments import pair
from guestagent.cmd.ctl.command import Answer, Command, add_timeout


def _typed(argument: str) -> tuple[str, Any]:
    try:
        return pair(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="a call that 'guestagentctl describe' lists")
    parser.add_argument(
        "arguments",
        nargs="*",
        type=_typed,
        metavar="KEY=TEXT|KEY:=JSON",
        help="its arguments; a value @FILE is read from the file, @- from standard input, "
        "and a secret should be, because everybody on the machine sees what is typed",
    )
    parser.add_argument("--namespace", help="the call's namespace (default: the one that the contract has it in)")
    parser.add_argument("--cast", action="store_true", help="send it and wait for no answer")
    add_timeout(parser, 60)


def _run(options: argparse.Namespace) -> Answer:
    namespace = _namespace(options.method) if options.namespace is None else options.namespace
    arguments = dict(options.arguments)
    with connected(cfg.CONF) as agent:
        if options.cast:
            agent.cast(options.method, arguments, namespace=namespace, timeout=options.timeout)
            return Answer(None, "sent")
        found = agent.call(options.method, arguments, namespace=namespace, timeout=options.timeout)
    return Answer(found, "done" if found is None else text.value(found))


def _namespace(method: str) -> str:
    """Where the contract has a call; one that it has nowhere is for the agent to refuse."""
    from guestagent.contract import CALLS

    return next((declared.namespaces[0] for declared in CALLS if declared.name == method), "")


COMMAND = Command(
    name="call",
    summary="make one call, as the control plane would",
    run=_run,
    examples="""\
guestagentctl call rpc_ping
guestagentctl call list_users limit:=20 marker=bob@%
guestagentctl call create_database databases:='[{"_name": "shop"}]' --cast
guestagentctl call enable_root_with_password root_password=@/root/secret""",
    add_arguments=_add_arguments,
)
