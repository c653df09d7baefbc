"""Which store the commands about backups look into: their options, and the catalog behind them."""

import argparse
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from oslo_config import cfg

from guestagent.backup.catalog import Catalog
from guestagent.cmd.ctl.command import WrongUse
from guestagent.contract.errors import GuestAgentError

if TYPE_CHECKING:
    from guestagent.backup.job import Place

LONGEST_TOKEN = 1 << 16
"""Bytes; tokens of Keystone's older kinds have a few thousand."""


class TokenUnusable(GuestAgentError):
    """The file has no token, or others could read it."""

    id = "ctl.token"
    sentence = "The token in {path} cannot be used: {problem}."


class Refused(GuestAgentError):
    """What was asked for would cost a backup that is still wanted."""

    id = "ctl.backup-wanted"
    sentence = "Nothing was removed: {problem}."


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a store."""
    parser.add_argument(
        "--storage", metavar="NAME", help="the storage strategy (default: the first one that the image declares)"
    )
    parser.add_argument("--url", help="the store, for a strategy that serves several, as the control plane names it")
    parser.add_argument("--container", metavar="NAME", help="the container (default: [backup] container)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a file of mode 0600 with a token, for a store that wants one; what is typed can be seen by everybody",
    )


def open_catalog(conf: cfg.ConfigOpts, options: argparse.Namespace) -> Catalog:
    """The backups of the store that the command line names.

    :raises PluginError: its storage strategy is not there, or wrong.
    :raises TokenUnusable: there is something wrong with the token's file.
    """
    # What reads and writes streams is not for the commands that ask an agent.
    from guestagent.backup import opening
    from guestagent.backup.job import Place

    declared = conf.image.storage_strategies
    storage = options.storage or (declared[0] if declared else None)
    if storage is None:
        raise WrongUse(
            problem="the image declares no storage strategy; name one with --storage", command="backups list"
        )
    place = Place(storage, options.url, options.container or conf.backup.container)
    context: dict[str, object] = {"is_admin": True, "request_id": "guestagentctl"}
    if options.token_file is not None:
        context["auth_token"] = _token(options.token_file)
    return opening.open_catalog(conf, place, context)


def place_of_logs(conf: cfg.ConfigOpts) -> "Place":
    """Where archived logs are."""
    from guestagent.backup.archiver import log_place

    return log_place(conf, conf.image.storage_strategies)


def archive_strategy(conf: cfg.ConfigOpts) -> str:
    """The name of the image's.

    :raises WrongUse: it has none.
    """
    declared: list[str] = conf.image.archive_strategies
    if not declared:
        raise WrongUse(problem="the image declares no archive strategy, so there are no logs", command="window")
    return declared[0]


def _token(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            if mode & 0o077:
                raise TokenUnusable(path=path, problem=f"others may read it (mode {mode:04o}); chmod 600 the file")
            content = stream.read(LONGEST_TOKEN + 1)
    except OSError as error:
        raise TokenUnusable(path=path, problem=error.strerror) from None
    token = content.decode("ascii", "replace").strip()
    # It becomes a header.
    if not token or len(content) > LONGEST_TOKEN or not token.isprintable() or not token.isascii():
        raise TokenUnusable(path=path, problem="the file holds something else")
    return token
