"""The package as a whole: what importing it costs, what it supports, and that its halves fit together."""

import inspect
import subprocess
import sys
from importlib import metadata

import pytest
from guestagent_mariadb import options, server_options
from guestagent_mariadb.manager import MariaDBManager
from oslo_config import cfg

from guestagent import contract
from guestagent.manager import BaseDatastoreManager


def imported_by(statement: str) -> set[str]:
    """The modules that an interpreter has after the statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    found = imported_by("import guestagent_mariadb.manager")
    assert "guestagent_mariadb.manager" in found
    assert not found & {"pymysql", "cryptography", "psutil", "sqlalchemy"}


@pytest.mark.parametrize("module", ["server_options", "options"])
def test_options_are_registered_without_a_manager(module: str) -> None:
    found = imported_by(f"import guestagent_mariadb.{module}")
    ours = {name for name in found if name.startswith(("guestagent", "pymysql"))}
    assert ours == {"guestagent_mariadb", f"guestagent_mariadb.{module}"}


def test_the_two_sides_have_groups_of_their_own() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
        server_options.register(conf)
    conf([])
    assert conf.mariadb.port == 3306
    assert conf.mariadb_server.tcp_ports == ["3306"]
    assert {group for group, _ in (*options.list_opts(), *server_options.list_opts())} == {"mariadb", "mariadb_server"}


@pytest.mark.parametrize("name", ["Robert'); --", "", "a b", "`", "x" * 33])
def test_the_administrators_name_needs_no_quotes(name: str) -> None:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    with pytest.raises(ValueError, match="regex"):
        conf.set_override("administrator", name, "mariadb")


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.datastore", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["mariadb"].load() is MariaDBManager
    assert points["guestagent.mariadb.guest"].load() is options.list_opts
    assert points["guestagent.mariadb.server"].load() is server_options.list_opts


def test_everything_but_replication_is_supported() -> None:
    missing = {call.name for call in contract.CALLS if not call.supported_by(MariaDBManager)}
    theirs = {call.name for call in contract.CALLS if call.capability == "replication"}
    assert missing == (theirs - {"make_read_only"}) | {"get_root_password", "update_guest"}


def test_the_halves_share_no_name_by_accident() -> None:
    """A private name in two classes of which neither knows the other would make one of them call the other's."""
    halves = [half for half in MariaDBManager.__mro__ if half not in (object, *BaseDatastoreManager.__mro__)]
    for number, half in enumerate(halves):
        for other in halves[number + 1 :]:
            if issubclass(half, other):
                continue
            both = {name for name in vars(half).keys() & vars(other).keys() if not name.startswith("__")}
            # What the base class has, they share on purpose.
            assert not both - {"_abc_impl"} - vars(BaseDatastoreManager).keys(), (half, other)


def test_the_halves_pass_on_what_they_share_on_purpose() -> None:
    for half in MariaDBManager.__mro__[:-1]:
        for name in ("tidy", "supports"):
            if name in vars(half) and half is not BaseDatastoreManager:
                assert f"super().{name}(" in inspect.getsource(vars(half)[name]), (half, name)
