"""The package as a whole: its entry points, its options, and that it fits PostgreSQL alone."""

from importlib import metadata

from guestagent_pg_basebackup import options
from guestagent_pg_basebackup.strategy import PgBaseBackup
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.backup", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["pg_basebackup"].load() is PgBaseBackup
    assert points["guestagent.pg_basebackup"].load() is options.list_opts


def test_it_fits_postgresql_and_makes_no_incremental_backups() -> None:
    assert PgBaseBackup.datastores == {"postgresql"}
    assert not PgBaseBackup.incremental


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.pg_basebackup.checkpoint == "fast"
    assert [group for group, _ in options.list_opts()] == ["pg_basebackup"]
