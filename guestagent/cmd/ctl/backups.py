"""``guestagentctl backups``: the backups of a store, looked at and kept in order without an agent and a broker."""

from guestagent.cmd.ctl import (
    backup_list,
    backup_pin,
    backup_prune,
    backup_prune_logs,
    backup_restore,
    backup_verify,
    backup_window,
)

NAME = "backups"
SUMMARY = "the backups of a store: list, verify, restore aside, window, prune, pin, delete; needs no agent"
COMMANDS = (
    backup_list.COMMAND,
    backup_verify.COMMAND,
    backup_restore.COMMAND,
    backup_window.COMMAND,
    backup_prune.PRUNE,
    backup_prune_logs.COMMAND,
    backup_pin.PIN,
    backup_pin.UNPIN,
    backup_prune.DELETE,
)
"""What stands behind the name."""
EXAMPLES = """\
guestagentctl backups list
guestagentctl backups verify --all
guestagentctl backups prune --keep 7 --max-age 30d
guestagentctl backups COMMAND --help"""
