"""The package as a whole: its entry points, its options, and that it fits PostgreSQL alone."""

from importlib import metadata

from guestagent_postgresql_wal import options
from guestagent_postgresql_wal.strategy import PostgreSQLWal
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.archive", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["postgresql_wal"].load() is PostgreSQLWal
    assert points["guestagent.postgresql_wal"].load() is options.list_opts


def test_it_fits_postgresql() -> None:
    assert PostgreSQLWal.datastores == {"postgresql"}


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.postgresql_wal.memory
    assert [group for group, _ in options.list_opts()] == ["postgresql_wal"]
