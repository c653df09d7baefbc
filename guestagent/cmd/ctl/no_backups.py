"""``guestagentctl backups`` where nothing for backups is installed: says so."""

import argparse

from guestagent.cmd.ctl.command import Answer, Command
from guestagent.contract.errors import GuestAgentError


class BackupsMissing(GuestAgentError):
    """The distribution that looks into stores is not there."""

    id = "ctl.backups-missing"
    sentence = (
        "This installation holds nothing for backups, as its image declares no backup strategy; "
        "install guestagent[backup] to look into a store."
    )


def _refuse(options: argparse.Namespace) -> Answer:
    raise BackupsMissing


def _take_anything(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


COMMAND = Command(
    "backups", "not here: this installation holds nothing for backups", _refuse, "guestagentctl plugins", _take_anything
)
