"""``guestagentctl`` where no agent answers: what it finds out by itself, and how it says what is wrong."""

import socket
import sys
import time
from collections.abc import Iterator

import pytest

from guestagent.cmd import guestagentctl
from guestagent.contract import CALLS
from tests.unit.cmd.conftest import GUEST_ID, Machine, answered

OPTIONS = """
from oslo_config import cfg

def list_opts():
    return [("alpha", [cfg.StrOpt("{name}", default="here", help="Where it is.")])]
"""

WITHOUT_MESSAGING = """
import sys
from guestagent.cmd import guestagentctl
from guestagent.contract import CALLS
code = guestagentctl.main(sys.argv[1:])
assert "oslo_messaging" not in sys.modules
sys.exit(code)
"""

PASSWORD = "geheim"
PREVIEW = "Development Status :: 4 - Beta"


BETA = """
from guestagent.manager import BaseDatastoreManager

class Manager(BaseDatastoreManager):
    def enable_root(self, context):
        raise NotImplementedError
"""


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is ours, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_plugins_shows_what_is_installed_and_what_is_declared(machine: Machine) -> None:
    offered = {"guestagent.backup": {"beta": "beta:Dump"}}
    machine.site.install("guest-beta", {}, offered, version="2.0", classifiers=[PREVIEW])

    plugins = answered(machine.ctl("plugins", "--json"))

    shown = {plugin["name"]: plugin for plugin in plugins}
    assert shown["alpha"] == {
        "group": "guestagent.datastore",
        "name": "alpha",
        "installed": True,
        "declared": True,
        "loaded": None,
        "distribution": "guest-alpha",
        "version": "1.0",
        "maturity": "experimental",
        "class": "alpha:Manager",
        "location": str(machine.directory),
    }
    assert shown["beta"]["declared"] is False
    assert shown["beta"]["version"] == "2.0"
    assert shown["beta"]["maturity"] == "technical-preview"


def test_plugins_shows_what_is_declared_and_missing(machine: Machine) -> None:
    file = machine.site.configure({"datastore": "gamma", "backup_strategies": "beta"}, {})

    process = machine.site.run("-m", "guestagent.cmd.guestagentctl", "plugins", "--config-file", str(file))

    lines = [line.split()[:5] for line in process.stdout.splitlines()]
    assert lines[0] == ["GROUP", "NAME", "INSTALLED", "DECLARED", "LOADED"]
    assert ["guestagent.datastore", "gamma", "no", "yes", "-"] in lines
    assert ["guestagent.backup", "beta", "no", "yes", "-"] in lines
    assert ["guestagent.datastore", "alpha", "yes", "no", "-"] in lines


def test_the_matrix_shows_which_calls_the_installed_datastores_support(machine: Machine) -> None:
    offered = {"guestagent.datastore": {"beta": "beta:Manager"}}
    machine.site.install("guest-beta", {"beta": BETA}, offered, version="2.0", classifiers=[PREVIEW])

    matrix = answered(machine.ctl("plugins", "--matrix", "--json"))
    shown = {one["name"]: one for one in matrix["datastores"]}
    assert shown["alpha"]["distribution"] == "guest-alpha"
    assert (shown["alpha"]["version"], shown["alpha"]["maturity"]) == ("1.0", "experimental")
    assert (shown["beta"]["version"], shown["beta"]["maturity"]) == ("2.0", "technical-preview")
    supported = {call["name"]: (call["supported"]["alpha"], call["supported"]["beta"]) for call in matrix["calls"]}
    assert [*supported] == [declared.name for declared in CALLS]
    assert supported["create_database"] == (True, False)
    assert supported["enable_root"] == (False, True)
    assert supported["rpc_ping"] == (True, True)
    assert supported["create_backup"] == (False, False)

    lines = [line.split() for line in machine.ctl("plugins", "--matrix").stdout.splitlines()]
    assert ["beta", "guest-beta", "2.0", "technical-preview"] in lines
    head = next(line for line in lines if line[:3] == ["CAPABILITY", "CALL", "SINCE"])
    row = dict(zip(head, next(line for line in lines if line[:2] == ["root", "enable_root"]), strict=True))
    assert (row["SINCE"], row["ALPHA"], row["BETA"]) == ("1.0", "no", "yes")


def test_a_datastore_that_cannot_be_imported_is_named(machine: Machine) -> None:
    machine.site.install("guest-beta", {"beta": "1 / 0"}, {"guestagent.datastore": {"beta": "beta:Manager"}})

    process = machine.ctl("plugins", "--matrix")

    assert process.returncode != 0
    assert "'beta'" in process.stderr
    assert "ZeroDivisionError" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("injected", [{}, {"guest_id": GUEST_ID}])
def test_plugins_need_no_broker_and_import_no_client_for_one(machine: Machine, injected: dict[str, str]) -> None:
    file = machine.site.configure({"datastore": "alpha"}, injected)
    typed = ["plugins", *(["--no-agent"] if injected else []), "--config-file", str(file)]

    process = machine.site.run("-c", WITHOUT_MESSAGING, *typed)

    assert process.returncode == 0, process.stderr
    assert "alpha:Manager" in process.stdout


@pytest.fixture
def with_options(machine: Machine) -> Machine:
    """The guest's side and the control plane's side of a datastore's options, and a manager that must not be read."""
    machine.site.install(
        "guest-delta",
        {
            "delta_guest": OPTIONS.format(name="on_the_guest"),
            "delta_server": OPTIONS.format(name="on_the_server"),
            "delta": machine.site.poisoned("delta"),
        },
        {
            "guestagent.datastore": {"delta": "delta:Manager"},
            "oslo.config.opts": {
                "guestagent.delta.guest": "delta_guest:list_opts",
                "guestagent.delta.server": "delta_server:list_opts",
                "guestagents": "nowhere:list_opts",
                "stranger": "nowhere:list_opts",
            },
        },
    )
    return machine


def test_config_sample_has_the_options_of_everything_that_is_installed(with_options: Machine) -> None:
    process = with_options.ctl("config-sample")

    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert {"[DEFAULT]", "[image]", "[agent]", "[alpha]", "[oslo_messaging_rabbit]"} <= set(lines)
    assert {"#guest_id = <None>", "#storage_strategies = local", "#state_dir = /var/lib/guestagent"} <= set(lines)
    assert {"#on_the_guest = here", "#on_the_server = here"} <= set(lines)
    assert {"# From guestagent.delta.guest", "# From guestagent.delta.server"} <= set(lines)
    assert {"#transport_url = rabbit://", "#control_exchange = openstack", "#log_file = <None>"} <= set(lines)
    assert "# Warning" not in process.stdout
    assert process.stderr == ""
    assert not with_options.site.mark("delta").exists()


def test_config_sample_shows_the_defaults_that_the_agent_gives_to_libraries(with_options: Machine) -> None:
    lines = with_options.ctl("config-sample").stdout.splitlines()

    assert "#ssl_enforce_hostname_verification = true" in lines
    assert "#kombu_missing_consumer_retry_timeout = 5" in lines


def test_config_sample_is_a_file_that_can_be_read(with_options: Machine) -> None:
    sample = with_options.directory / "sample.conf"
    sample.write_text(with_options.ctl("config-sample").stdout)

    process = with_options.site.run("-m", "guestagent.cmd.guestagentctl", "plugins", "--config-file", str(sample))

    assert process.returncode == 0, process.stderr


def test_config_sample_for_programs(with_options: Machine) -> None:
    sample = answered(with_options.ctl("config-sample", "--json"))

    assert {option["name"] for option in sample["options"]["alpha"]["opts"]} == {"on_the_guest", "on_the_server"}


def test_config_sample_says_whose_options_cannot_be_listed(machine: Machine) -> None:
    machine.site.install(
        "guest-broken",
        {"broken": "import nowhere_to_be_found"},
        {"oslo.config.opts": {"guestagent.broken.guest": "broken:list_opts"}},
    )

    process = machine.ctl("config-sample")

    assert process.returncode == 1
    assert "nowhere_to_be_found" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("command", [["status"], ["describe"], ["call", "rpc_ping"], ["call", "rpc_ping", "--cast"]])
def test_a_silent_broker_is_given_up(machine: Machine, closed_port: int, command: list[str]) -> None:
    injected = {"guest_id": GUEST_ID, "transport_url": f"rabbit://guest:{PASSWORD}@127.0.0.1:{closed_port}/"}
    started = time.monotonic()

    process = machine.ctl(*command, "--timeout", "5", injected=injected)

    assert process.returncode == 3
    assert "Connection refused" in process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert PASSWORD not in process.stderr
    assert time.monotonic() - started < 60


def test_a_silent_broker_keeps_nobody_from_seeing_the_plugins(machine: Machine, closed_port: int) -> None:
    injected = {"guest_id": GUEST_ID, "transport_url": f"rabbit://127.0.0.1:{closed_port}/"}

    plugins = answered(machine.ctl("plugins", "--json", "--timeout", "0.2", injected=injected))

    assert {plugin["loaded"] for plugin in plugins} == {None}


@pytest.mark.parametrize(
    ("injected", "words"),
    [
        ({}, "guest_id"),
        ({"guest_id": "1", "transport_url": f"rabbit://guest:{PASSWORD}@127.0.0.1:port/"}, "transport_url"),
        ({"guest_id": "1", "transport_url": f"guest:{PASSWORD}@127.0.0.1"}, "transport_url"),
        ({"guest_id": "1", "transport_url": f"pigeon://guest:{PASSWORD}@127.0.0.1"}, "'pigeon'"),
    ],
)
def test_files_that_name_no_agent(machine: Machine, injected: dict[str, str], words: str) -> None:
    process = machine.ctl("status", injected=injected)

    assert process.returncode == 2
    assert process.stderr.startswith("guestagentctl: No agent can be asked: ")
    assert words in process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert PASSWORD not in process.stderr


@pytest.mark.parametrize(
    "typed",
    [
        ["plugins", "--config-file", "/nonexistent"],
        ["plugins", "--config-dir", "/nonexistent"],
        ["--config-dir", "/nonexistent", "plugins"],
    ],
)
def test_files_that_are_not_there(machine: Machine, typed: list[str]) -> None:
    process = machine.site.run("-m", "guestagent.cmd.guestagentctl", *typed)

    assert process.returncode == 2
    assert "/nonexistent" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "COMMAND"),
        (["dance"], "dance"),
        (["call"], "METHOD"),
        (["call", "list_users", "limit"], "key=text or key:=json"),
        (["call", "list_users", "limit:=many"], "the value of limit is no JSON"),
        (["call", "list_users", "marker=@/nonexistent"], "/nonexistent cannot be read"),
        (["status", "--timeout", "0"], "--timeout"),
        (["status", "--timeout", "nan"], "--timeout"),
    ],
)
def test_a_command_line_that_is_wrong(capsys: pytest.CaptureFixture[str], typed: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        guestagentctl.main(typed)

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "describe", "plugins", "call", "config-sample"])
def test_the_help_of_a_command_shows_its_use(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        guestagentctl.main([command, "--help"])

    assert ended.value.code == 0
    assert f"guestagentctl {command}" in capsys.readouterr().out.partition("examples:")[2]


def test_a_reader_that_has_seen_enough_is_no_error(machine: Machine) -> None:
    pipeline = f"{sys.executable} -m guestagent.cmd.guestagentctl config-sample --json | true; echo ${{PIPESTATUS[0]}}"

    process = machine.site.run("-c", f"import os; os.execv('/bin/bash', ['bash', '-c', {pipeline!r}])")

    assert process.stdout == "0\n"
    assert process.stderr == ""


def test_a_machine_without_a_home_stays_clean(machine: Machine) -> None:
    forget = "import os, pwd\ndel os.environ['HOME']\npwd.getpwuid = {}.__getitem__\n"
    main = "import sys\nfrom guestagent.cmd import guestagentctl\nsys.exit(guestagentctl.main(['config-sample']))"

    process = machine.site.run("-c", forget + main, environment={"XDG_CACHE_HOME": ""})

    assert process.returncode == 0, process.stderr
    assert not (machine.directory / "~").exists()
