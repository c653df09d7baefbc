"""The package as a whole: what importing it costs, what it supports, and that its halves fit together."""

from guestagent_mariadb import options, server_options
from guestagent_mariadb.manager import MariaDBManager
from oslo_config import cfg

from tests.support.datastore_package import (
    assert_halves_pass_on,
    assert_halves_share_no_name,
    imported_by,
    missing_calls,
)


def test_the_client_library_is_not_imported_before_it_is_needed() -> None:
    found = imported_by("import guestagent_mariadb.manager")
    assert "guestagent_mariadb.manager" in found
    assert not found & {"pymysql", "cryptography", "psutil", "sqlalchemy"}


def test_the_two_sides_have_groups_of_their_own() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
        server_options.register(conf)
    conf([])
    assert conf.mariadb.port == 3306
    assert conf.mariadb_server.tcp_ports == ["3306"]
    assert {group for group, _ in (*options.list_opts(), *server_options.list_opts())} == {"mariadb", "mariadb_server"}


def test_everything_but_replication_is_supported() -> None:
    assert missing_calls(MariaDBManager, but="replication") == {"get_root_password", "update_guest"}


def test_the_halves_fit_together() -> None:
    assert_halves_share_no_name(MariaDBManager)
    assert_halves_pass_on(MariaDBManager)
