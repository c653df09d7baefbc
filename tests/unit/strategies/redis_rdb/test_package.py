"""The package as a whole: its entry points, its options, and what it fits."""

from importlib import metadata

from guestagent_redis_rdb import options
from guestagent_redis_rdb.strategy import RedisRdb
from oslo_config import cfg


def test_the_entry_points_name_what_is_there() -> None:
    points = {
        point.name: point
        for group in ("guestagent.backup", "oslo.config.opts")
        for point in metadata.entry_points(group=group)
    }
    assert points["redis_rdb"].load() is RedisRdb
    assert points["guestagent.redis_rdb"].load() is options.list_opts


def test_it_fits_both_and_makes_no_incremental_backups() -> None:
    assert RedisRdb.datastores == {"redis", "valkey"}
    assert not RedisRdb.incremental


def test_options_can_be_registered_again() -> None:
    conf = cfg.ConfigOpts()
    for _ in range(2):
        options.register(conf)
    conf([])
    assert conf.redis_rdb.save_timeout == 3600
    assert [group for group, _ in options.list_opts()] == ["redis_rdb"]
