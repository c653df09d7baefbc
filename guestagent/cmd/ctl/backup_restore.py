"""``guestagentctl backups restore-test``: a backup restored aside, and a server on it asked something."""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.backup_bar import shown, size
from guestagent.cmd.ctl.backup_store import add_store, archive_strategy, open_catalog, place_of_logs
from guestagent.cmd.ctl.command import Answer, Command
from guestagent.contract.errors import InvalidValue, NotSupported
from guestagent.system import files

if TYPE_CHECKING:
    from guestagent.backup.catalog import Catalog
    from guestagent.backup.job import ServerFacts
    from guestagent.backup.manifest import Manifest
    from guestagent.backup.replay import Replay
    from guestagent.capabilities.backups import BackedUp

SCRATCH = Path("/var/tmp")  # noqa: S108  what is made in it is mode 0711, and what is in that 0700
ENDS = (signal.SIGTERM, signal.SIGHUP)
"""What ends the program where nobody types Ctrl-C; the gigabytes must not stay."""


class _Scratch(msgspec.Struct, frozen=True):
    """Directories of one test, the last two of the server's account."""

    state: Path
    work: Path
    data: Path
    server: Path


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of the backup")
    parser.add_argument("--query", required=True, help="what the server is asked, in its own language")
    parser.add_argument(
        "--to",
        metavar="POINT",
        help="bring the data forward with archived logs: to a time with its zone, as 2025-11-26T14:05:00Z, or to a "
        "position of the datastore's",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=SCRATCH,
        help="where the data are restored, with room for all of them and open to the server's account; what is made "
        "there is removed (default: %(default)s)",
    )
    add_store(parser)


def _run(options: argparse.Namespace) -> Answer:
    catalog = open_catalog(cfg.CONF, options)
    chain = catalog.chain_of(options.id)
    begun = time.monotonic()
    with _ended_in_order(), _scratch(options.directory) as scratch:
        manager = _manager(cfg.CONF, scratch.state)
        restored = _restore(catalog, chain, manager, scratch, options.to)
        ready = time.monotonic() - begun
        with manager.scratch_server(scratch.data, scratch.server) as query:
            rows = query(options.query)
    value = {
        "id": options.id,
        "to": options.to,
        "size": restored,
        "seconds": round(ready, 3),
        "rows": [list(row) for row in rows],
    }
    return Answer(value, _render(options.id, restored, ready, rows))


def _restore(
    catalog: "Catalog", chain: "Sequence[Manifest]", manager: "BackedUp", scratch: _Scratch, point: str | None
) -> int:
    from guestagent.backup import tasks

    facts = manager.restored_server(scratch.data)
    for path in (scratch.data, scratch.server):
        files.ensure_directory(path, mode=0o700, owner=facts.account, group=facts.account)
    # The usual place is on the instance's volume, and may be in use.
    facts = msgspec.structs.replace(facts, scratch_dir=str(scratch.work))
    replay = _way(catalog, chain[-1], facts, point) if point is not None else None
    with shown(sys.stderr, chain[-1].id) as progress:
        return tasks.restore(cfg.CONF, catalog, chain, facts, scratch.data, progress, replay)


def _way(catalog: "Catalog", backup: "Manifest", facts: "ServerFacts", point: str) -> "Replay":
    from guestagent.backup import log_tasks
    from guestagent.backup.job import Recovery

    recovery = Recovery(archive_strategy(cfg.CONF), place_of_logs(cfg.CONF), point)
    return log_tasks.find_way(cfg.CONF, recovery, backup, facts, dict(catalog.context.values))


def _manager(conf: cfg.ConfigOpts, state: Path) -> "BackedUp":
    """The datastore's manager, as the agent has it, with nothing of the instance's to write to.

    :raises PluginError: the image is wrong.
    :raises NotSupported: the datastore has no backups.
    """
    # What the agent is made of is not for the commands that ask one.
    from guestagent.capabilities.backups import BackedUp
    from guestagent.guest import Guest
    from guestagent.operations.instance import InstanceRecord
    from guestagent.operations.store import Store
    from guestagent.plugins.declaration import Declaration
    from guestagent.plugins.loader import load
    from guestagent.system.plain import PlainControl

    loaded = load(Declaration.read(conf))
    files.ensure_directory(state, mode=0o700)
    manager = loaded.manager(
        Guest(
            id=conf.guest_id,
            datastore=loaded.declaration.datastore,
            conf=conf,
            state_dir=state,
            record=InstanceRecord(Store(state)),
            processes=PlainControl(state),
            backup_strategies=list(loaded.backup),
            description=loaded.description,
        )
    )
    if not isinstance(manager, BackedUp):
        raise NotSupported(operation="restore-test", datastore=loaded.declaration.datastore)
    return manager


@contextlib.contextmanager
def _scratch(parent: Path) -> Iterator[_Scratch]:
    """A place for everything that is made, and removed with it."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="guestagent-restore-", dir=parent))
    except OSError as error:
        raise InvalidValue(subject=f"The directory {parent}", problem=error.strerror) from None
    try:
        # The server's account passes through, and sees its own.
        directory.chmod(0o711)
        yield _Scratch(*(directory / name for name in ("state", "work", "data", "server")))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have the block end with all that it has to clear away, however the program is asked to end."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, leave)) for number in ENDS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _render(backup_id: str, restored: int, seconds: float, rows: Sequence[Sequence[str | None]]) -> str:
    head = f"restored {text.cell(backup_id)} ({size(restored)}) in {seconds:.1f} s; a server on it answers"
    lines = [text.GAP.join("NULL" if value is None else text.cell(value) for value in row) for row in rows]
    return "\n".join([f"{head}:" if lines else f"{head} without a row", *lines])


COMMAND = Command(
    name="restore-test",
    summary="restore a backup aside, start a server on it, and ask it something",
    run=_run,
    examples="""\
guestagentctl backups restore-test 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11 --query 'SELECT COUNT(*) FROM shop.orders'
guestagentctl backups restore-test ID --query 'CHECK TABLE shop.orders' --directory /mnt/roomy --json
guestagentctl backups restore-test ID --to 2025-11-26T14:05:00Z --query 'SELECT MAX(id) FROM shop.orders'

The instance's own server is not touched. It takes the disk of the whole data, and memory and processor beside the
instance's own.""",
    add_arguments=_add_arguments,
)
