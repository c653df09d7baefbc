"""``guestagentctl plugins``: what is installed, what of it the image declares, what the agent has loaded, or can."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg

from guestagent.cmd.ctl import text
from guestagent.cmd.ctl.agent import connected
from guestagent.cmd.ctl.command import Answer, Command, add_timeout
from guestagent.contract import CALLS
from guestagent.contract.call import OWN
from guestagent.contract.errors import GuestAgentError
from guestagent.plugins.installed import Group, Offer, installed
from guestagent.plugins.maturity import Maturity


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-agent", action="store_true", help="do not ask a running agent what it has loaded")
    parser.add_argument(
        "--matrix", action="store_true", help="which calls each installed datastore supports; imports all of them"
    )
    add_timeout(parser, 3)


def _run(options: argparse.Namespace) -> Answer:
    if options.matrix:
        return _matrix()
    declared = _declared(cfg.CONF)
    loaded = None if options.no_agent else _loaded(cfg.CONF, options.timeout)
    plugins = [*_offered(installed(), declared, loaded)]
    present = {(plugin["group"], plugin["name"]) for plugin in plugins}
    plugins += [_missing(group, name) for group, name in declared if (group, name) not in present]
    return Answer(plugins, _render(plugins))


def _matrix() -> Answer:
    from guestagent.plugins.matrix import columns

    found = columns()
    datastores = [
        {"name": one.name, "distribution": one.distribution, "version": one.version, "maturity": one.maturity.value}
        for one in found
    ]
    calls = [
        {
            "name": declared.name,
            "capability": declared.capability,
            "since": declared.since,
            "supported": {one.name: declared in one.supported for one in found},
        }
        for declared in CALLS
    ]
    tables = [
        text.table(["DATASTORE", "PACKAGE", "VERSION", "MATURITY"], [list(one.values()) for one in datastores]),
        text.table(
            ["CAPABILITY", "CALL", "SINCE", *(one.name.upper() for one in found)],
            [
                [declared.capability, declared.name, declared.since, *(declared in one.supported for one in found)]
                for declared in CALLS
            ],
        ),
    ]
    return Answer({"datastores": datastores, "calls": calls}, "\n\n".join(tables))


def _declared(conf: cfg.ConfigOpts) -> list[tuple[Group, str]]:
    image = conf.image
    names: Mapping[Group, Sequence[str]] = {
        Group.DATASTORE: [image.datastore] if image.datastore else [],
        Group.BACKUP: image.backup_strategies,
        Group.ARCHIVE: image.archive_strategies,
        Group.REPLICATION: image.replication_strategies,
        Group.STORAGE: image.storage_strategies,
        Group.MODULE: image.modules,
    }
    return [(group, name) for group in Group for name in names[group]]


def _loaded(conf: cfg.ConfigOpts, timeout: float) -> set[tuple[Group, str]] | None:
    """What the agent says that it has loaded; none: it does not say."""
    try:
        with connected(conf) as agent:
            document = agent.call("describe", {}, namespace=OWN, timeout=timeout)
    except GuestAgentError:
        # Not to know is an answer too, and the table shows it.
        return None
    kinds = {"datastore": [document["datastore"]], **document["strategies"]}
    return {(Group[kind.upper()], plugin["name"]) for kind, plugins in kinds.items() for plugin in plugins}


def _offered(
    offers: Sequence[Offer], declared: Sequence[tuple[Group, str]], loaded: set[tuple[Group, str]] | None
) -> Iterator[dict[str, Any]]:
    for offer in offers:
        key, package = (offer.group, offer.name), offer.package
        yield {
            "group": offer.group.value,
            "name": offer.name,
            "installed": True,
            "declared": key in declared,
            "loaded": None if loaded is None else key in loaded,
            "distribution": package.name if package else None,
            "version": package.version if package else None,
            "maturity": Maturity.of(package.classifiers if package else []).value,
            "class": offer.class_path,
            "location": package.location if package else None,
        }


def _missing(group: Group, name: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("distribution", "version", "maturity", "class", "location"))
    return {"group": group.value, "name": name, "installed": False, "declared": True, "loaded": None, **nothing}


def _render(plugins: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        *("group", "name", "installed", "declared", "loaded"),
        *("distribution", "version", "maturity", "class", "location"),
    )
    return text.table(
        [column.upper() for column in columns], [[plugin[column] for column in columns] for plugin in plugins]
    )


COMMAND = Command(
    name="plugins",
    summary="what is installed, what of it the image declares, what the agent has loaded",
    run=_run,
    examples="""\
guestagentctl plugins
guestagentctl plugins --no-agent --json
guestagentctl plugins --matrix""",
    add_arguments=_add_arguments,
)
