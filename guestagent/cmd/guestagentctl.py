"""``guestagentctl``: looks at the agent of this machine, and makes calls to it."""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestagent.plugins import cache
from guestagent.system import threads

if TYPE_CHECKING:
    from guestagent.cmd.ctl.command import Command

DONE, FAILED, WRONG, SILENT = range(4)
EXIT_CODES = {
    "remote.unreachable": SILENT,
    "local.away": SILENT,
    "ctl.no-broker": SILENT,
    "ctl.no-way": SILENT,
    "ctl.no-agent": WRONG,
    "ctl.not-confirmed": WRONG,
    "ctl.token": WRONG,
    "ctl.wrong-use": WRONG,
}
"""For errors by their id; every other error is FAILED."""

EPILOG = """\
It reads the files that the agent reads: /etc/guestagent/image.conf and
/etc/guestagent/guestagent.conf where they exist, or what --config-file and
--config-dir name instead.

exit status:
  0  done
  1  the agent refused or failed; its own sentence is on standard error
  2  the command line or a file is wrong
  3  no answer: the agent or the broker is silent
  130  interrupted with Ctrl-C

'guestagentctl COMMAND --help' shows examples of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and print its answer.

    :returns: see :data:`EPILOG`.
    """
    cache.use(cache.FALLBACK)
    threads.select()
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads has seen enough; what Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _run(options: argparse.Namespace) -> int:
    from oslo_config import cfg

    from guestagent import conf
    from guestagent.contract.errors import GuestAgentError

    try:
        conf.load(cfg.CONF, options.sources, "guestagentctl")
        answer = options.run(options)
    except cfg.Error as error:
        return _complain(str(error), WRONG)
    except GuestAgentError as error:
        return _complain(str(error), EXIT_CODES.get(error.id, FAILED))
    if answer.value is None and not answer.text:
        # A command that showed what it found as it came has nothing to add.
        return DONE
    sys.stdout.write(f"{json.dumps(answer.value, indent=2) if options.json else answer.text}\n")
    sys.stdout.flush()
    return DONE


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"guestagentctl: {sentence.removesuffix('.')}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    from guestagent.cmd.ctl import call, convert, describe, operations, plugins, sample, status

    parser = argparse.ArgumentParser(
        prog="guestagentctl",
        description="Look at the guest agent of this machine, and make calls to it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(parser, sources=[], as_json=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (each.COMMAND for each in (status, operations, describe, plugins, call, convert, sample)):
        _add_command(commands, command)
    _add_backups(commands)
    return parser


def _add_backups(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    if importlib.util.find_spec("guestagent.backup") is None:
        from guestagent.cmd.ctl import no_backups

        _add_command(commands, no_backups.COMMAND)
        return
    from guestagent.cmd.ctl import backups

    group = _add_parser(commands, backups.NAME, backups.SUMMARY, backups.EXAMPLES)
    behind = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in backups.COMMANDS:
        _add_command(behind, command)


def _add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", command: "Command") -> None:
    typed = _add_parser(commands, command.name, command.summary, command.examples)
    command.add_arguments(typed)
    typed.set_defaults(run=command.run)


def _add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, examples: str
) -> argparse.ArgumentParser:
    typed = commands.add_parser(
        name,
        help=summary,
        description=f"{summary.capitalize()}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(typed, sources=argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    return typed


def _add_common(parser: argparse.ArgumentParser, sources: object, as_json: object) -> None:
    """Options that may stand before the command or after it; after it, they must not reset what stood before."""
    for kind, metavar in (("--config-file", "FILE"), ("--config-dir", "DIRECTORY")):
        parser.add_argument(
            kind,
            dest="sources",
            action="append",
            default=sources,
            type=f"{kind}={{}}".format,
            metavar=metavar,
            help="read this as the agent does; may be repeated, and a later one wins",
        )
    parser.add_argument("--json", action="store_true", default=as_json, help="answer in JSON, for programs")


if __name__ == "__main__":
    sys.exit(main())
