"""The package as a whole: its entry points, its options, and that it fits MariaDB alone."""

from importlib import metadata

from guestagent_mariadb_binlog import options
from guestagent_mariadb_binlog.strategy import MariaDBBinlog
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.archive", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["mariadb_binlog"].load() is MariaDBBinlog
    assert points["guestagent.mariadb_binlog"].load() is options.list_opts


def test_it_fits_mariadb() -> None:
    assert MariaDBBinlog.datastores == {"mariadb"}


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.mariadb_binlog.use_memory > 0
    assert [group for group, _ in options.list_opts()] == ["mariadb_binlog"]
