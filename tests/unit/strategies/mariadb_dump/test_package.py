"""The package as a whole: its entry points, its options, and that it fits MariaDB alone."""

from importlib import metadata

from guestagent_mariadb_dump import options
from guestagent_mariadb_dump.strategy import MariaDBDump
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.backup", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["mariadb_dump"].load() is MariaDBDump
    assert points["guestagent.mariadb_dump"].load() is options.list_opts


def test_it_fits_mariadb_and_makes_full_backups_alone() -> None:
    assert MariaDBDump.datastores == {"mariadb"}
    assert not MariaDBDump.incremental


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.mariadb_dump.server_options == []
    assert [group for group, _ in options.list_opts()] == ["mariadb_dump"]
