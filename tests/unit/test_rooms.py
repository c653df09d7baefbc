"""The rules between rooms, read from the sources themselves; and for every rule a source that breaks it."""

import ast
import configparser
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OPEN_TO_PLUGINS = (
    "guestagent.contract",
    "guestagent.manager",
    "guestagent.guest",
    "guestagent.capabilities",
    "guestagent.operations.plan",
    "guestagent.system",
    "guestagent.backup",
    "guestagent.replication",
    "guestagent.storage",
    "guestagent.modules",
)

DATABASES = re.compile(
    r"maria|mysql|innodb|percona|postgres|pgsql|(?<![a-z])redis(?![a-z])|valkey|memcached|mongo|cassandra|couch(base|db)"
    r"|clickhouse|opensearch",
    re.IGNORECASE,
)

KIT = "guestagent.conformance"

STARTS_PROCESSES = re.compile(r"(subprocess|multiprocessing|pty|asyncio\.subprocess)(\.|$)")
STARTERS = re.compile(
    r"os\.(system|popen|startfile|fork|forkpty|posix_spawnp?|(exec|spawn)[lv]p?e?)$"
    r"|asyncio\.create_subprocess_(exec|shell)$"
    r"|concurrent\.futures\.(process\.)?ProcessPoolExecutor$"
)
GREEN_THREADS = re.compile(r"(eventlet|gevent|greenlet)(\.|$)")


@dataclasses.dataclass(frozen=True)
class Source:
    """One module.

    :ivar module: its dotted name; that of a package without ``__init__``.
    :ivar package: the package that its relative imports start from.
    """

    module: str
    text: str
    package: str = ""

    @property
    def family(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(ast.parse(self.text))

    def imports(self) -> Iterator[str]:
        """What it imports, absolute: ``a.b`` for ``import a.b`` and for ``from a import b``."""
        for node in self.nodes():
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = [*self._ancestor(node.level), *filter(None, [node.module])]
                yield from (".".join([*origin, alias.name]) for alias in node.names)

    def mentions(self) -> Iterator[str]:
        """What it imports, and every ``name.attribute`` that it uses."""
        yield from self.imports()
        yield from (ast.unparse(node) for node in self.nodes() if isinstance(node, ast.Attribute))

    def _ancestor(self, level: int) -> list[str]:
        return self.package.split(".")[: 1 - level or None] if level else []


def inside(name: str, *rooms: str) -> bool:
    """Whether a dotted name is one of the rooms, or something in them."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def read(top: Path) -> Iterator[Source]:
    """The modules of a package, without their tests."""
    for file in sorted(top.rglob("*.py")):
        parts = file.relative_to(top.parent).with_suffix("").parts
        if "tests" not in parts:
            module = ".".join(parts).removesuffix(".__init__")
            yield Source(module, file.read_text(), package=".".join(parts[:-1]))


RUNTIME = [*read(ROOT / "guestagent")]
SETTINGS = sorted([*ROOT.glob("datastores/*/setup.cfg"), *ROOT.glob("strategies/*/*/setup.cfg")])
PLUGINS = [
    source
    for settings in SETTINGS
    for package in sorted(settings.parent.glob("*/__init__.py"))
    for source in read(package.parent)
]
FAMILIES = sorted({source.family for source in PLUGINS})


def server_side(settings: Path) -> Iterator[str]:
    """The modules with options that are for the control plane, as a distribution's settings name them."""
    parser = configparser.ConfigParser()
    parser.read(settings)
    lines = parser.get("options.entry_points", "oslo.config.opts", fallback="").splitlines()
    for name, _, value in (line.partition("=") for line in lines):
        if name.strip().endswith(".server"):
            yield value.strip().partition(":")[0]


def datastores_of(settings: Path) -> list[str]:
    """The datastores that a distribution offers."""
    parser = configparser.ConfigParser()
    parser.read(settings)
    lines = parser.get("options.entry_points", "guestagent.datastore").splitlines()
    return [line.partition("=")[0].strip() for line in lines if line.strip()]


SERVER_SIDE = [module for settings in SETTINGS for module in server_side(settings)]


def contract_stands_alone(source: Source) -> list[str]:
    """The contract imports nothing else of the project."""
    if not inside(source.module, "guestagent.contract"):
        return []
    return [
        name
        for name in source.imports()
        if inside(name, "guestagent", *FAMILIES) and not inside(name, "guestagent.contract")
    ]


def plugins_keep_to_open_rooms(source: Source) -> list[str]:
    """A plugin imports of the runtime what is meant for plugins, and nothing of another family."""
    if source.family == "guestagent":
        return []
    others = [family for family in FAMILIES if family != source.family]
    return [
        name
        for name in source.imports()
        if inside(name, *others) or (inside(name, "guestagent") and not inside(name, *OPEN_TO_PLUGINS))
    ]


def server_options_stand_apart(source: Source) -> list[str]:
    """Options for the control plane are read without the plugin's code, and the plugin's code without them."""
    ours = inside(source.module, *SERVER_SIDE)
    rooms = ["guestagent", *FAMILIES] if ours else SERVER_SIDE
    return [name for name in source.imports() if inside(name, *rooms)]


def runtime_knows_no_plugin(source: Source) -> list[str]:
    """The runtime imports no plugin and has no word for any database, in its comments neither."""
    if source.family != "guestagent":
        return []
    return [
        *(name for name in source.imports() if inside(name, *FAMILIES)),
        *(found.group() for found in DATABASES.finditer(source.text)),
    ]


def only_tests_use_the_kit(source: Source) -> list[str]:
    """What plugins are tested with is no part of an agent."""
    if inside(source.module, KIT):
        return []
    return [name for name in source.imports() if inside(name, KIT)]


def only_system_starts_processes(source: Source) -> list[str]:
    """Processes are started in one room, and by the tests' kit."""
    if inside(source.module, "guestagent.system", KIT):
        return []
    return [name for name in source.mentions() if STARTS_PROCESSES.match(name) or STARTERS.match(name)]


def nobody_uses_a_shell(source: Source) -> list[str]:
    """Commands are lists of arguments, in the room that starts them too."""
    calls = (node for node in source.nodes() if isinstance(node, ast.Call))
    keywords = (keyword for call in calls for keyword in call.keywords if keyword.arg == "shell")
    shells = [ast.unparse(keyword.value) for keyword in keywords]
    return [
        *(shell for shell in shells if shell != "False"),
        *filter(re.compile(r"os\.(system|popen)$").match, source.mentions()),
    ]


def threads_are_real(source: Source) -> list[str]:
    """Nothing imports green threads."""
    return [name for name in source.imports() if GREEN_THREADS.match(name)]


RULES = (
    contract_stands_alone,
    plugins_keep_to_open_rooms,
    server_options_stand_apart,
    runtime_knows_no_plugin,
    only_tests_use_the_kit,
    only_system_starts_processes,
    nobody_uses_a_shell,
    threads_are_real,
)


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: Callable[[Source], list[str]]) -> None:
    broken = {source.module: found for source in [*RUNTIME, *PLUGINS] if (found := rule(source))}

    assert not broken, f"{rule.__doc__} {broken}"


def test_the_files_of_the_runtime_name_no_database() -> None:
    files = [ROOT / "setup.cfg", *sorted((ROOT / "etc").iterdir())]

    named = {file.name: found.group() for file in files if (found := DATABASES.search(file.read_text()))}

    assert not named


def test_the_tests_of_the_runtime_name_no_database() -> None:
    rooms = [
        path for kind in ("unit", "functional") for path in (ROOT / "tests" / kind).iterdir() if _is_of_runtime(path)
    ]
    assert {"backup", "capabilities", "operations", "rpc", "service", "system"} <= {path.name for path in rooms}

    named = {
        f"{file.relative_to(ROOT)}:{number}": found.group()
        for room in rooms
        for file in ([room] if room.is_file() else sorted(room.rglob("*.py")))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (found := DATABASES.search(line))
    }

    assert not named


def _is_of_runtime(path: Path) -> bool:
    """Whether tests are about a room of the runtime: theirs has its name."""
    room = ROOT / "guestagent" / path.name.removeprefix("test_")
    return room.is_dir() or room.with_suffix(".py").is_file()


def test_no_line_names_two_families() -> None:
    """So that adding one changes no line that names another; generated pages and prose may compare them."""
    tops = ("guestagent", "datastores", "strategies", "elements", "benchmarks", "examples", "tests", ".ci")
    files = [ROOT / "Makefile", *(file for top in tops for file in sorted((ROOT / top).rglob("*")))]
    code = [file for file in files if file.is_file() and not set(file.suffixes) & {".md", ".rst", ".pyc"}]
    names = [re.compile("|".join(datastores_of(path)), re.IGNORECASE) for path in ROOT.glob("datastores/*/setup.cfg")]
    assert len(names) > 1

    both = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in code
        if file != Path(__file__).resolve() and ".egg-info" not in str(file)
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if sum(bool(name.search(line)) for name in names) > 1
    ]

    assert both == []


def test_there_is_something_to_look_at() -> None:
    modules = {source.module for source in RUNTIME}

    assert {"guestagent", "guestagent.contract.call", "guestagent.system.files", "guestagent.rpc.server"} <= modules
    assert FAMILIES
    assert SERVER_SIDE
    assert "guestagent" not in FAMILIES


SOME_FAMILY = FAMILIES[0] if FAMILIES else "none"
SOME_OPTIONS = SERVER_SIDE[0] if SERVER_SIDE else "none.options"


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (contract_stands_alone, "guestagent.contract.users", "from guestagent.manager import BaseDatastoreManager"),
        (contract_stands_alone, "guestagent.contract.users", "def later():\n    import guestagent.conf"),
        (contract_stands_alone, "guestagent.contract.users", "from ..system import files"),
        (contract_stands_alone, "guestagent.contract.users", f"import {SOME_FAMILY}"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", "from guestagent.rpc.client import Client"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", "from guestagent import cmd"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", "import guestagent"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", "from guestagent.operations.queue import OperationQueue"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", "import guestagent.contractor"),
        (plugins_keep_to_open_rooms, "guest_alpha.manager", f"from {SOME_FAMILY}.manager import anything"),
        (server_options_stand_apart, SOME_OPTIONS, f"from {SOME_FAMILY} import manager"),
        (server_options_stand_apart, SOME_OPTIONS, "from guestagent.conf import agent"),
        (server_options_stand_apart, SOME_FAMILY, f"from {SOME_OPTIONS} import list_opts"),
        (runtime_knows_no_plugin, "guestagent.service", f"import {SOME_FAMILY}.manager"),
        (runtime_knows_no_plugin, "guestagent.service", "def start_mysqld(): ..."),
        (runtime_knows_no_plugin, "guestagent.service", "# As PostgreSQL does."),
        (runtime_knows_no_plugin, "guestagent.service", "KINDS = {'redis': 6379}"),
        (only_tests_use_the_kit, "guestagent.service", "from guestagent.conformance import wire"),
        (only_tests_use_the_kit, "guest_alpha.manager", "import guestagent.conformance.guest"),
        (only_system_starts_processes, "guestagent.service", "import subprocess"),
        (only_system_starts_processes, "guest_alpha.manager", "from subprocess import run"),
        (only_system_starts_processes, "guest_alpha.manager", "import multiprocessing.pool"),
        (only_system_starts_processes, "guest_alpha.manager", "import pty"),
        (only_system_starts_processes, "guest_alpha.manager", "import os\nos.system('true')"),
        (only_system_starts_processes, "guest_alpha.manager", "from os import execv"),
        (only_system_starts_processes, "guest_alpha.manager", "import os\nos.posix_spawn('/bin/true', [], {})"),
        (only_system_starts_processes, "guest_alpha.manager", "from concurrent.futures import ProcessPoolExecutor"),
        (nobody_uses_a_shell, "guestagent.system.command", "subprocess.run('ls', shell=True)"),
        (nobody_uses_a_shell, "guestagent.system.command", "subprocess.Popen('ls', shell=wanted)"),
        (nobody_uses_a_shell, "guestagent.system.command", "from os import popen"),
        (threads_are_real, "guestagent.rpc.server", "import eventlet"),
        (threads_are_real, "guest_alpha.manager", "from eventlet.green import socket"),
    ],
)
def test_a_source_that_breaks_a_rule_is_found(rule: Callable[[Source], list[str]], module: str, text: str) -> None:
    assert rule(Source(module, text, package=module.rpartition(".")[0]))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("guestagent.contract.users", "import msgspec\nfrom guestagent.contract.call import call\nfrom . import call"),
        ("guest_alpha.manager", "from guestagent import contract\nfrom guestagent.system import files"),
        ("guest_alpha.manager", "from guest_alpha.users import Users\nfrom .users import Users"),
        ("guestagent.system.command", "import subprocess\nsubprocess.run(['true'], shell=False)"),
        ("guestagent.service", "import os\nos.environ\n'rediscover what is redistributed'"),
    ],
)
def test_a_source_that_breaks_no_rule_is_left_alone(module: str, text: str) -> None:
    source = Source(module, text, package=module.rpartition(".")[0])

    assert not [found for rule in RULES for found in rule(source)]
