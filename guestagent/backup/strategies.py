"""What jobs have to do with a strategy before and after it works."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from guestagent.backup.base import BaseBackupStrategy, Server
from guestagent.backup.draft import KEPT
from guestagent.backup.job import ServerFacts
from guestagent.backup.manifest import Manifest
from guestagent.contract.errors import GuestAgentError
from guestagent.system import files


class OtherStrategy(GuestAgentError):
    """A backup was made by a strategy that the image does not hold, or not in this version."""

    id = "backup.other-strategy"
    sentence = "Backup '{backup}' was made by strategy '{strategy}' {version}; {problem}."


def check_strategy(one: Manifest, name: str, strategy: type[BaseBackupStrategy]) -> None:
    """See that a strategy can do something with a backup.

    :raises OtherStrategy: it cannot.
    """
    problem = None
    if one.strategy != name:
        problem = f"the others of its chain were made by '{name}'"
    elif one.strategy_version > strategy.version:
        problem = f"this image holds version {strategy.version}, use a newer image"
    if problem:
        raise OtherStrategy(backup=one.id, strategy=one.strategy, version=one.strategy_version, problem=problem)


def server_of(facts: ServerFacts, draft_dir: str | None = None) -> Server:
    """The server, as a strategy meets it."""
    return Server(
        datastore=facts.datastore,
        version=facts.version,
        data_dir=Path(facts.data_dir),
        scratch_dir=Path(facts.scratch_dir),
        account=facts.account,
        credentials=Path(facts.credentials) if facts.credentials else None,
        configuration=Path(facts.configuration) if facts.configuration else None,
        kept_dir=Path(draft_dir) / KEPT if draft_dir else None,
        lasting_dir=Path(facts.lasting_dir) if facts.lasting_dir else None,
    )


@contextlib.contextmanager
def scratch(server: Server) -> Iterator[None]:
    """An empty directory for the strategy, as long as the block lasts."""
    files.remove_tree(server.scratch_dir)
    files.ensure_directory(server.scratch_dir, mode=0o700, owner=server.account, group=server.account)
    try:
        yield
    finally:
        files.remove_tree(server.scratch_dir)
