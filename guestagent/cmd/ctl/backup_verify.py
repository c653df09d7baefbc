"""``guestagentctl backups verify``: stored backups read through, without restoring them."""

import argparse
import json
import sys
from typing import Any

from oslo_config import cfg

from guestagent.backup import settings
from guestagent.backup.catalog import Catalog
from guestagent.backup.manifest import Manifest
from guestagent.backup.settings import Settings
from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.backup_bar import shown, size
from guestagent.cmd.ctl.backup_store import add_store, open_catalog
from guestagent.cmd.ctl.command import Answer, Command, WrongUse
from guestagent.contract.errors import GuestAgentError, InvalidValue


class NotGood(GuestAgentError):
    """Some of the backups cannot be read through, or not as what they were."""

    id = "ctl.backups-not-good"
    sentence = "{bad} of {all} backups cannot be restored as they are: {ids}; make a new backup, and look into it."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="these, and what they build on")
    parser.add_argument("--all", action="store_true", help="every backup of the container")
    add_store(parser)


def _run(options: argparse.Namespace) -> Answer:
    if bool(options.ids) == options.all:
        raise WrongUse(problem="say which backups, or --all", command="backups verify")
    catalog = open_catalog(cfg.CONF, options)
    survey = catalog.survey()
    unusable = list(survey.unusable)
    ids = [one.id for one in survey.backups] + unusable if options.all else list(dict.fromkeys(options.ids))
    verifier, bad = _Verifier(catalog, settings.read(cfg.CONF)), []
    for backup_id in ids:
        problem = verifier.problem(backup_id)
        if problem is not None:
            bad.append(backup_id)
        _say(backup_id, verifier.sizes.get(backup_id), problem, as_json=options.json)
    if bad:
        raise NotGood(bad=len(bad), all=len(ids), ids=", ".join(bad))
    return Answer(None, "" if ids or options.json else "there is no backup")


class _Verifier:
    """Reads every backup once, however many others build on it.

    :ivar sizes: bytes of those that were read.
    """

    def __init__(self, catalog: Catalog, how: Settings) -> None:
        self._catalog = catalog
        self._settings = how
        self._known: dict[str, GuestAgentError | None] = {}
        self.sizes: dict[str, int] = {}

    def problem(self, backup_id: str) -> GuestAgentError | None:
        """Why a backup cannot be restored, be it because of one that it builds on; none: it can.

        :raises InvalidValue: that is no id.
        """
        try:
            chain = self._catalog.chain_of(backup_id)
        except InvalidValue:
            raise
        except GuestAgentError as error:
            return error
        for one in chain:
            if one.id not in self._known:
                self._known[one.id] = self._read(one)
        return next((found for one in chain if (found := self._known[one.id]) is not None), None)

    def _read(self, one: Manifest) -> GuestAgentError | None:
        # What reads streams is not for the commands that ask an agent.
        from guestagent.backup.verification import read_through

        try:
            with shown(sys.stderr, one.id) as progress:
                self.sizes[one.id] = read_through(one, self._catalog, self._settings, progress)
        except GuestAgentError as error:
            return error
        return None


def _say(backup_id: str, count: int | None, problem: GuestAgentError | None, *, as_json: bool) -> None:
    """A line for each, as it comes: the next one may take an hour."""
    if as_json:
        answer: dict[str, Any] = {"id": backup_id, "good": problem is None, "size": count}
        answer["error"] = problem and {"id": problem.id, "sentence": str(problem)}
        said = json.dumps(answer)
    elif problem is None:
        said = text.GAP.join([text.cell(backup_id), "good", size(count or 0)])
    else:
        said = text.GAP.join([text.cell(backup_id), "bad", text.cell(str(problem))])
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()


COMMAND = Command(
    name="verify",
    summary="read backups through without restoring them; exit status 1 if one of them is not good",
    run=_run,
    examples="""\
guestagentctl backups verify 7d1c83f2-9a52-4f6f-8f0e-0f7b5e4a1c11
guestagentctl backups verify --all
guestagentctl backups verify --all --json | jq -r 'select(.good | not) | .id'

All that a restore reads is read, and what a backup builds on too, each once: every piece is fetched, compared with
its checksum, decrypted and decompressed. That the data are what a server can use, 'restore-test' shows.""",
    add_arguments=_add_arguments,
)
