"""An image or an instance that is wrong: an exit code of its own, one line, and an instance that fails at once."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from guestagent.conformance.agent import AgentProcess
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.ports import LOOPBACK, free_port
from tests.conftest import MakeAgent
from tests.support.sleeper import DATASTORE
from tests.unit.plugins.packages import MANAGER, Site

KEY = "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"
ENDS = 30.0
"""Seconds within which an agent ends that cannot start."""
NOBODY = "the_control_planes_own.manager.Manager"
"""A class of a package that no guest has."""

STRATEGY = """
from guestagent.backup.base import BaseBackupStrategy

class Strategy(BaseBackupStrategy):
    datastores = frozenset({"elsewhere"})

    def backup(self, parent): ...
    def restore(self, stages, target): ...
"""


@dataclasses.dataclass
class Wrong:
    """One way to be wrong.

    :ivar module: the source of the only module of an installed distribution.
    :ivar offers: that distribution's entry points, group to name to class.
    """

    code: int
    words: str
    image: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"datastore": "alpha"})
    injected: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"datastore_manager": "alpha"})
    module: str = MANAGER
    offers: Mapping[str, Mapping[str, str]] = dataclasses.field(
        default_factory=lambda: {"guestagent.datastore": {"alpha": "wrong_plugin:Manager"}}
    )
    requires: str = "guestagent"


WRONG = {
    "nothing declared": Wrong(
        65, "does not say which datastore", image={}, injected={"datastore_registry_ext": f"alpha:{NOBODY}"}
    ),
    "not installed": Wrong(66, "no installed package offers", offers={}),
    "offered twice": Wrong(
        67,
        "offered more than once",
        image={"datastore": DATASTORE},
        injected={"datastore_manager": DATASTORE},
        offers={"guestagent.datastore": {DATASTORE: "wrong_plugin:Manager"}},
    ),
    "cannot be imported": Wrong(68, "cannot be imported", module="import no_such_library\n"),
    "raises while it is imported": Wrong(68, "ZeroDivisionError", module="1 / 0\n"),
    "ends the process": Wrong(68, "SystemExit", module="raise SystemExit(0)\n"),
    "no manager": Wrong(69, "is something else", module="Manager = dict\n"),
    "another datastore": Wrong(70, "expects the datastore 'other'", injected={"datastore_manager": "other"}),
    "for a newer runtime": Wrong(72, "requires guestagent>=99", requires="guestagent>=99"),
    "a strategy for others": Wrong(
        73,
        "is for elsewhere",
        image={"datastore": "alpha", "backup_strategies": "beta"},
        module=MANAGER + STRATEGY,
        offers={
            "guestagent.datastore": {"alpha": "wrong_plugin:Manager"},
            "guestagent.backup": {"beta": "wrong_plugin:Strategy"},
        },
    ),
    "named in the old way": Wrong(
        74,
        "no usable BaseDatastoreManager",
        image={},
        injected={"datastore_manager": "alpha", "datastore_registry_ext": "alpha:wrong_plugin.Manager"},
        module="Manager = dict\n",
        offers={},
    ),
}


def with_image(
    make_agent: MakeAgent, site: Path, wrong: Wrong, key: str | None = None, flush_timeout: int = 60, **how: object
) -> AgentProcess:
    """An agent of a machine that is wrong in that way."""
    Site(site).install("wrong-plugin", {"wrong_plugin": wrong.module}, wrong.offers, requires=(wrong.requires,))
    options = {"agent": {"flush_timeout": flush_timeout}}
    agent = make_agent("alpha", key=key, environment={"PYTHONPATH": str(site)}, options=options, **how)
    agent.files["image.conf"] = {"image": dict(wrong.image)}
    info = agent.files["guest_info.conf"]["DEFAULT"]
    for name in ("datastore_manager", "datastore_registry_ext"):
        info.pop(name)
    info.update(wrong.injected)
    return agent


def check_told(agent: AgentProcess, wrong: Wrong) -> None:
    """It ended with its code, and its log has the reason once, without a traceback."""
    assert agent.process.wait(ENDS) == wrong.code, agent.text()
    assert "Traceback" not in agent.text()
    told = [line for line in agent.text().splitlines() if " CRITICAL " in line]
    assert len(told) == 1
    assert wrong.words in told[0]


@pytest.mark.parametrize("kind", WRONG)
def test_the_log_the_exit_code_and_the_conductor_tell(
    make_agent: MakeAgent, conductor: Conductor, tmp_path: Path, kind: str
) -> None:
    agent = with_image(make_agent, tmp_path, WRONG[kind])
    agent.start()
    check_told(agent, WRONG[kind])
    assert conductor.wait_for_status(agent.guest_id, "failed to spawn")
    assert conductor.statuses(agent.guest_id) == ["failed to spawn"]


def test_with_a_key_the_conductor_hears_it_encrypted(
    make_agent: MakeAgent, conductor: Conductor, tmp_path: Path
) -> None:
    wrong = WRONG["not installed"]
    agent = with_image(make_agent, tmp_path, wrong, key=KEY)
    conductor.keys[agent.guest_id] = KEY
    agent.start()
    check_told(agent, wrong)
    assert conductor.wait_for_status(agent.guest_id, "failed to spawn").encrypted_by == agent.guest_id


def test_without_a_broker_it_ends_all_the_same(make_agent: MakeAgent, tmp_path: Path) -> None:
    wrong = WRONG["not installed"]
    nowhere = f"rabbit://guest:guest@{LOOPBACK}:{free_port()}/"
    agent = with_image(make_agent, tmp_path, wrong, flush_timeout=2, transport_url=nowhere)
    agent.start()
    check_told(agent, wrong)


def test_without_its_id_there_is_nobody_to_speak_of(make_agent: MakeAgent, conductor: Conductor) -> None:
    agent = make_agent(DATASTORE)
    del agent.files["guest_info.conf"]["DEFAULT"]["guest_id"]
    agent.start()
    check_told(agent, Wrong(71, "No guest_id is configured"))
    assert conductor.reports == []


@pytest.mark.parametrize("text", ["[agent\n", "[agent]\nreport_interval = soon\n"], ids=["no syntax", "no number"])
def test_a_file_that_cannot_be_read_is_told_in_one_line(make_agent: MakeAgent, text: str) -> None:
    agent = make_agent(DATASTORE)
    agent.write_files()
    (agent.config_dir / "zz.conf").write_text(text)
    agent.start()
    assert agent.process.wait(ENDS) == 2
    assert len(agent.text().splitlines()) == 1
    assert "guestagent: " in agent.text()
