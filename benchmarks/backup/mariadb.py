"""MariaDB: ``mariadb-backup``, by itself and as the agent uses it."""

from pathlib import Path
from typing import Any, Final

import pymysql

from benchmarks.backup import dataset
from benchmarks.backup.family import Family
from benchmarks.backup.instance import NAME, PASSWORD, Instance
from benchmarks.backup.pipelines import GZIP, Pipeline, Program, flow, settle
from benchmarks.backup.traffic import Traffic
from benchmarks.budgets import ENCRYPTING_WORKER, GZIP_PIPELINE, PIPELINE, WORKER, Budget
from guestagent.backup.job import ServerFacts
from tests.functional.mariadb.machine import Machine, prepare
from tests.support.machine import CONTEXT, user

PROGRAM, UNPACK_PROGRAM = "mariadb-backup", "mbstream"
MEMORY_MIB: Final = 128
"""What preparing works in, as the agent's default."""
SETTINGS: Final = "[mysqld]\ninnodb_buffer_pool_size = 256M\ninnodb_log_file_size = 256M\nlocal_infile = 1\n"
"""A small guest's; a table is loaded from a client."""
LOAD_SECONDS: Final = 3600
TABLE: Final = """CREATE TABLE {table} (
    id INT UNSIGNED PRIMARY KEY,
    customer INT UNSIGNED NOT NULL,
    placed DATETIME(3) NOT NULL,
    state ENUM('new', 'paid', 'packed', 'sent', 'returned') NOT NULL,
    amount DECIMAL(10, 2) NOT NULL,
    reference CHAR(32) CHARACTER SET ascii NOT NULL,
    email VARCHAR(80) NOT NULL,
    address VARCHAR(120) NOT NULL,
    note TEXT NOT NULL,
    KEY customer (customer)
) CHARACTER SET utf8mb4"""
LOAD: Final = "LOAD DATA LOCAL INFILE '{pipe}' INTO TABLE {table} CHARACTER SET utf8mb4"


class MariaDBInstance(Instance):
    """One with MariaDB."""

    def __init__(self, directory: Path) -> None:
        self._machine = Machine(directory)
        self._manager = self._machine.manager()
        super().__init__(self._machine, self._manager)

    def prepare(self) -> None:
        prepare(self._manager, config_contents=SETTINGS, users=[user(NAME, PASSWORD, databases=(dataset.DATABASE,))])
        self._manager.connections.execute("Making the data", f"CREATE DATABASE {dataset.DATABASE}")

    def __exit__(self, *error: object) -> None:
        self._manager.connections.close()
        super().__exit__(*error)

    def fill(self, size: int) -> None:
        pipe = self._machine.directory / "rows"
        with self.client(local_infile=True, read_timeout=LOAD_SECONDS) as connection:
            for table in dataset.tables(pipe, size):
                with connection.cursor() as cursor:
                    cursor.execute(TABLE.format(table=table))
                    # A table that is empty then takes its rows without a log of each.
                    cursor.execute("SET unique_checks = 0, foreign_key_checks = 0")
                    cursor.execute(LOAD.format(pipe=pipe, table=table))
                connection.commit()
        self._manager.restart(CONTEXT)

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in (self._manager.layout.data_dir / dataset.DATABASE).iterdir())

    def client(self, **options: Any) -> "pymysql.Connection[Any]":
        """A user's connection."""
        return self._machine.log_in(NAME, PASSWORD, database=dataset.DATABASE, **options)


class MariaBackupPipeline(Pipeline):
    """``mariadb-backup`` and a compressor."""

    def back_up(self, server: ServerFacts) -> None:
        argv = [
            PROGRAM,
            f"--defaults-file={server.credentials}",
            "--backup",
            "--stream=xbstream",
            f"--datadir={server.data_dir}",
            f"--target-dir={server.scratch_dir}",
        ]
        self._keep(Program(argv, server.account), self._pack)

    def restore(self, server: ServerFacts) -> None:
        self._give_back(Program([UNPACK_PROGRAM, "-x", "-C", server.data_dir], server.account))
        prepare = [
            PROGRAM,
            "--no-defaults",
            "--prepare",
            f"--target-dir={server.data_dir}",
            f"--use-memory={MEMORY_MIB}M",
        ]
        flow([Program(prepare, server.account)])
        settle(server)


FAMILY: Final = Family(
    name="mariadb",
    part="backup",
    strategy="mariabackup",
    instance=MariaDBInstance,
    bare={PIPELINE: MariaBackupPipeline},
    slow={GZIP_PIPELINE: lambda directory: MariaBackupPipeline(directory, GZIP)},
    ask=lambda instance: Traffic(instance.client),
    budgets=(
        Budget("backup_mib_s", WORKER, 1.1, PIPELINE, at_least=True),
        Budget("backup_mib_s", ENCRYPTING_WORKER, 1.05, PIPELINE, at_least=True),
        Budget("restore_mib_s", WORKER, 1.0, PIPELINE, at_least=True),
        Budget("of_gzip", WORKER, 10, at_least=True),
        Budget("peak_mib", WORKER, 96),
        Budget("peak_mib", ENCRYPTING_WORKER, 96),
    ),
)
