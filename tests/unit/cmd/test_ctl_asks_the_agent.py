"""``guestagentctl`` beside a real agent, on the in-memory bus of oslo.messaging."""

import json

from tests.unit.cmd.conftest import GUEST_ID, Machine, answered

PREPARE = ["call", "prepare", "packages=", "databases:=[]", "memory_mb:=512", "users:=[]", "ds_version=1.0"]


def test_describe_gives_programs_the_capability_document(machine: Machine) -> None:
    document = answered(machine.with_agent(["describe", "--json"]))

    assert document["guest_id"] == GUEST_ID
    assert document["datastore"]["distribution"] == "guest-alpha"
    assert document["strategies"]["storage"][0]["name"] == "local"
    assert document["capabilities"]["databases"] is True
    assert document["capabilities"]["users"] is False


def test_describe_gives_people_tables(machine: Machine) -> None:
    process = machine.with_agent(["describe"])

    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines()]
    assert ["guest", GUEST_ID] in lines
    assert ["datastore", "alpha", "guest-alpha", "1.0", "alpha:Manager"] in lines
    assert ["databases", "yes"] in lines
    assert ["users", "no"] in lines
    assert ["list_databases", "yes", "1.0", "read"] in [line[:4] for line in lines]


def test_plugins_says_what_the_agent_has_loaded(machine: Machine) -> None:
    machine.site.install("guest-beta", {}, {"guestagent.datastore": {"beta": "beta:Manager"}})

    plugins = answered(machine.with_agent(["plugins", "--json"]))

    loaded = {plugin["name"]: plugin["loaded"] for plugin in plugins}
    assert (loaded["alpha"], loaded["local"], loaded["beta"], loaded["ping"]) == (True, True, False, False)


def test_a_call_prints_its_result(machine: Machine) -> None:
    process = machine.with_agent(PREPARE, ["call", "list_databases", "limit:=1", "--json"])

    assert process.returncode == 0, process.stderr
    done, _, listed = process.stdout.partition("\n")
    assert done == "done"
    assert json.loads(listed) == [[{"_name": "shop", "_character_set": "utf8", "_collate": None}], None]


def test_a_call_of_our_own_namespace_needs_no_namespace(machine: Machine) -> None:
    assert answered(machine.with_agent(["call", "describe", "--json"]))["format"] == 1


def test_a_cast_is_done_and_not_waited_for(machine: Machine) -> None:
    cast = ["call", "create_database", 'databases:=[{"_name": "shop"}]', "--cast"]

    # Changes are made in the order in which they came, so that the end of a later one proves the earlier one's.
    process = machine.with_agent(PREPARE, cast, ["call", "restart"])

    assert process.stdout.splitlines() == ["done", "sent", "done"], process.stderr
    assert (machine.state_dir / "created").read_text() == "shop"


def test_what_the_agent_refuses_is_said_in_its_own_words(machine: Machine) -> None:
    process = machine.with_agent(PREPARE, ["call", "delete_database", 'database:={"_name": "shop"}'])

    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "guestagentctl: Database shop does not exist on this guest"
    assert "Traceback" not in process.stderr


def test_a_call_that_is_in_no_contract_is_for_the_agent_to_refuse(machine: Machine) -> None:
    process = machine.with_agent(["call", "delete_everything"])

    assert process.returncode == 1
    assert "has no call 'delete_everything'" in process.stderr


def test_status_says_how_the_agent_and_its_database_are(machine: Machine) -> None:
    process = machine.with_agent(PREPARE, ["status", "--json"])

    assert process.returncode == 0, process.stderr
    status = json.loads(process.stdout.partition("\n")[2])
    assert status["guest_id"] == GUEST_ID
    assert status["service_status"] == "healthy"
    assert status["phase"] == "ready"
    assert status["wanted"] == "stopped"
    assert status["datastore_version"] == "1.0"
    assert status["operation"] is None
    assert status["datastore"]["name"] == "alpha"
    assert status["agent"]["uptime"] > 0


def test_status_is_short_for_people(machine: Machine) -> None:
    process = machine.with_agent(PREPARE, ["status"])

    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()[1:]
    assert lines[0] == f"guest           {GUEST_ID}"
    assert lines[1] == "service status  healthy"
    assert len(lines) < 12
