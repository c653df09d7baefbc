"""The package as a whole: its entry points, its options, and that it fits MariaDB alone."""

from importlib import metadata

from guestagent_mariabackup import options
from guestagent_mariabackup.strategy import MariaBackup
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.backup", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["mariabackup"].load() is MariaBackup
    assert points["guestagent.mariabackup"].load() is options.list_opts


def test_it_fits_mariadb_and_makes_incremental_backups() -> None:
    assert MariaBackup.datastores == {"mariadb"}
    assert MariaBackup.incremental


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.mariabackup.throttle == 0
    assert [group for group, _ in options.list_opts()] == ["mariabackup"]
