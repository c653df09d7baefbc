"""PostgreSQL: ``pg_basebackup``, by itself, with its own compression and as the agent uses it; and pgBackRest."""

from pathlib import Path
from typing import Final

from benchmarks.backup import dataset
from benchmarks.backup.family import Family
from benchmarks.backup.instance import NAME, PASSWORD, Instance
from benchmarks.backup.pgbackrest import PgBackRest
from benchmarks.backup.pipelines import Pipeline, Program, settle
from benchmarks.budgets import ENCRYPTING_WORKER, PGBACKREST, PIPELINE, SERVER_ZSTD, WORKER, Budget
from guestagent.backup.job import ServerFacts
from guestagent.system import command
from tests.functional.postgresql.machine import Machine, prepare
from tests.support.machine import CONTEXT, user

PROGRAMS: Final = Path("/usr/lib/postgresql")
SERVICE: Final = "guestagent"
"""The name that the lent file has for the server."""
SETTINGS: Final = "shared_buffers = 256MB\nmax_wal_size = 4GB\nwal_keep_size = 256MB\nautovacuum = off\n"
"""A small guest's. Nothing is tidied up in somebody's turn, nor log removed that a bare backup still needs: only the
agent's has a slot that holds it."""
LOAD_SECONDS: Final = 3600
LOAD: Final = """BEGIN;
CREATE TABLE {table} (
    id integer PRIMARY KEY,
    customer integer NOT NULL,
    placed timestamp(3) NOT NULL,
    state text NOT NULL,
    amount numeric(10, 2) NOT NULL,
    reference char(32) NOT NULL,
    email varchar(80) NOT NULL,
    address varchar(120) NOT NULL,
    note text NOT NULL
);
COPY {table} FROM '{pipe}' WITH (FREEZE);
CREATE INDEX ON {table} (customer);
COMMIT;
VACUUM ANALYZE {table};
"""


class PostgreSQLInstance(Instance):
    """One with PostgreSQL."""

    def __init__(self, directory: Path) -> None:
        self._machine = Machine(directory)
        self._manager = self._machine.manager()
        super().__init__(self._machine, self._manager)

    def prepare(self) -> None:
        prepare(self._manager, config_contents=SETTINGS, users=[user(NAME, PASSWORD)])
        self._manager.connections.execute("Making the data", f"CREATE DATABASE {dataset.DATABASE} OWNER {NAME}")

    def __exit__(self, *error: object) -> None:
        self._manager.connections.close()
        super().__exit__(*error)

    def fill(self, size: int) -> None:
        pipe = self._machine.directory / "rows"
        with self.backed_up() as server:
            argv = [
                _program(server, "psql"),
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                f"--dbname=service={SERVICE} dbname={dataset.DATABASE}",
            ]
            for table in dataset.tables(pipe, size):
                script = LOAD.format(table=table, pipe=pipe).encode()
                command.run(
                    argv, timeout=LOAD_SECONDS, stdin=script, user=server.account, environment=_environment(server)
                )
        self._manager.restart(CONTEXT)

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in (self._manager.layout.data_dir / "base").rglob("*"))


class BaseBackupPipeline(Pipeline):
    """``pg_basebackup`` and a compressor."""

    def back_up(self, server: ServerFacts) -> None:
        self._keep(_base_backup(server), self._pack)

    def restore(self, server: ServerFacts) -> None:
        self._give_back(Program(["tar", "-x", "-C", server.data_dir], server.account))
        settle(server)


class CompressingBaseBackup(BaseBackupPipeline):
    """``pg_basebackup`` that compresses by itself."""

    def back_up(self, server: ServerFacts) -> None:
        self._keep(_base_backup(server, "--compress=client-zstd:level=1,workers=2"))


def _base_backup(server: ServerFacts, *options: str) -> Program:
    argv = [
        _program(server, "pg_basebackup"),
        f"--dbname=service={SERVICE}",
        "--format=tar",
        "--wal-method=fetch",
        "--pgdata=-",
        "--checkpoint=fast",
        *options,
    ]
    return Program(argv, server.account, _environment(server))


def _program(server: ServerFacts, name: str) -> str:
    return str(PROGRAMS / server.version.partition(".")[0] / "bin" / name)


def _environment(server: ServerFacts) -> dict[str, str]:
    return {"PGSERVICEFILE": str(server.credentials)}


FAMILY: Final = Family(
    name="postgresql",
    part="backup-postgresql",
    strategy="pg_basebackup",
    instance=PostgreSQLInstance,
    bare={PIPELINE: BaseBackupPipeline, SERVER_ZSTD: CompressingBaseBackup, PGBACKREST: PgBackRest},
    budgets=(
        Budget("backup_mib_s", WORKER, 1.25, PIPELINE, at_least=True),
        Budget("backup_mib_s", WORKER, 1.8, PGBACKREST, at_least=True),
        Budget("peak_mib", WORKER, 96),
        Budget("peak_mib", ENCRYPTING_WORKER, 96),
    ),
)
