"""Which datastores the strategies fit, and which of them build on an earlier backup."""

import pytest
from guestagent_mariabackup.strategy import MariaBackup
from guestagent_mariadb_binlog.strategy import MariaDBBinlog
from guestagent_mariadb_dump.strategy import MariaDBDump
from guestagent_pg_basebackup.strategy import PgBaseBackup
from guestagent_postgresql_wal.strategy import PostgreSQLWal
from guestagent_redis_rdb.strategy import RedisRdb

from guestagent.backup.archive import BaseArchiveStrategy
from guestagent.backup.base import BaseBackupStrategy


@pytest.mark.parametrize(
    ("strategy", "datastores"),
    [
        (MariaBackup, {"mariadb"}),
        (MariaDBBinlog, {"mariadb"}),
        (MariaDBDump, {"mariadb"}),
        (PgBaseBackup, {"postgresql"}),
        (PostgreSQLWal, {"postgresql"}),
        (RedisRdb, {"redis", "valkey"}),
    ],
)
def test_a_strategy_fits_its_own_family(
    strategy: type[BaseBackupStrategy | BaseArchiveStrategy], datastores: set[str]
) -> None:
    assert strategy.datastores == datastores


@pytest.mark.parametrize(
    ("strategy", "incremental"),
    [
        (MariaBackup, True),
        (MariaDBDump, False),
        (PgBaseBackup, True),
        (RedisRdb, False),
    ],
)
def test_some_backups_build_on_others(strategy: type[BaseBackupStrategy], incremental: bool) -> None:
    assert strategy.incremental is incremental
