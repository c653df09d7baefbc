"""``guestagentctl backups pin`` and ``unpin``: what must stay."""

import argparse
import os
import pwd
import socket
import time

import msgspec
from oslo_config import cfg

from guestagent.backup.catalog import Pin
from guestagent.cmd.ctl.backup_store import add_store, open_catalog
from guestagent.cmd.ctl.command import Answer, Command


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of the backup")
    add_store(parser)


def _add_pin(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    parser.add_argument("--why", default="", metavar="TEXT", help="for who wonders later")


def _pin(options: argparse.Namespace) -> Answer:
    pin = Pin(_who(), time.time(), options.why)
    open_catalog(cfg.CONF, options).pin(options.id, pin)
    return Answer({"id": options.id, "pinned": msgspec.to_builtins(pin)}, f"pinned {options.id}")


def _unpin(options: argparse.Namespace) -> Answer:
    open_catalog(cfg.CONF, options).unpin(options.id)
    return Answer({"id": options.id, "pinned": None}, f"unpinned {options.id}")


def _who() -> str:
    try:
        name = os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return f"{name}@{socket.gethostname()}"


PIN = Command(
    name="pin",
    summary="have a backup and what it builds on stay, whatever their age",
    run=_pin,
    examples="guestagentctl backups pin 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11 --why 'before the migration'",
    add_arguments=_add_pin,
)

UNPIN = Command(
    name="unpin",
    summary="let a backup go when its time has come",
    run=_unpin,
    examples="guestagentctl backups unpin 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11",
    add_arguments=_add_id,
)
