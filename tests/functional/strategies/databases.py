"""A MariaDB to back up, what its backups are kept in, and the server that shows what came out of them."""

import contextlib
import dataclasses
import itertools
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql
from guestagent_mariadb.manager import MariaDBManager

from guestagent.backup.base import BaseBackupStrategy, Server, Stage
from guestagent.conformance.poll import eventually
from guestagent.system import files
from guestagent.system.stream import Producer
from tests.functional.mariadb.machine import Machine, Rows, machine, prepare
from tests.support.machine import user
from tests.support.mariadb import ACCOUNT, DATASTORE

SECRET = "Sleekit-cowrin-1"
SETTINGS = "[mysqld]\nlog_bin = binlog\nserver_id = 7\ngtid_domain_id = 3\nmax_allowed_packet = 64M\n"
OWNER = ACCOUNT if os.geteuid() == 0 else None

TABLES = ("quiet", "debit", "credit", "old_engine", "pictures")


@dataclasses.dataclass
class Shop:
    """A prepared instance with a database that has something of everything.

    :ivar machine: its machine.
    :ivar manager: of its agent.
    """

    machine: Machine
    manager: MariaDBManager

    def tell(self, *statements: str) -> None:
        for statement in statements:
            self.manager.connections.execute("Keeping shop", statement.replace("%", "%%"))

    def ask(self, statement: str) -> Rows:
        return tuple(self.manager.connections.fetch("Keeping shop", statement.replace("%", "%%")))

    @contextlib.contextmanager
    def server(self) -> Iterator[Server]:
        """What a strategy is told of it."""
        layout = self.manager.layout
        with self.manager.administrator.lend_credentials(self.machine.directory / "config" / "lent.cnf", OWNER) as lent:
            version = ".".join(map(str, self.manager.program.version()))
            yield Server(DATASTORE, version, layout.data_dir, layout.mount_point / "scratch", OWNER, credentials=lent)

    @property
    def scratch(self) -> Path:
        return self.manager.layout.mount_point / "scratch"

    @property
    def run_dir(self) -> Path:
        """Where the server's account may write, with a short name."""
        return self.manager.layout.socket.parent

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Money goes from hand to hand in the block: as much into one table as into the other, in one transaction."""
        closing = threading.Event()

        def trade() -> None:
            with self.machine.log_in("keeper", SECRET, database="shop", autocommit=False) as connection:
                for amount in itertools.count(1):
                    with connection.cursor() as cursor:
                        cursor.execute("INSERT INTO debit (amount) VALUES (%s)", (amount,))
                        cursor.execute("INSERT INTO credit (amount) VALUES (%s)", (amount,))
                    connection.commit()
                    if closing.is_set():
                        return

        trader = threading.Thread(target=trade)
        trader.start()
        try:
            before = self.ask("SELECT COUNT(*) FROM shop.credit")
            eventually(lambda: self.ask("SELECT COUNT(*) FROM shop.credit") > before)
            yield
        finally:
            closing.set()
            trader.join()


@contextlib.contextmanager
def opened_shop() -> Iterator[Shop]:
    """A shop on a machine of its own."""
    with machine() as made:
        manager = made.manager()
        prepare(manager, config_contents=SETTINGS, users=[user("keeper", SECRET, databases=("shop",))])
        shop = Shop(made, manager)
        shop.tell(
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "GRANT ALL ON shop.* TO keeper@'%'",
            "CREATE TABLE shop.quiet (id INT PRIMARY KEY, name VARCHAR(100), born DATETIME(6))",
            "INSERT INTO shop.quiet SELECT seq, CONCAT('Zoë Ångström 🐭 ', seq), '1786-07-31 12:00:00.25'"
            " FROM shop.seq_1_to_20000",
            "CREATE TABLE shop.debit (id BIGINT AUTO_INCREMENT PRIMARY KEY, amount BIGINT)",
            "CREATE TABLE shop.credit LIKE shop.debit",
            "CREATE TABLE shop.old_engine (id INT PRIMARY KEY, note TEXT) ENGINE = MyISAM",
            "INSERT INTO shop.old_engine SELECT seq, REPEAT('x', seq) FROM shop.seq_1_to_300",
            "CREATE TABLE shop.pictures (id INT PRIMARY KEY, content LONGBLOB)",
            "INSERT INTO shop.pictures SELECT seq, UNHEX(SHA2(seq, 512)) FROM shop.seq_1_to_100",
            "INSERT INTO shop.pictures VALUES (0, CONCAT(UNHEX('000A0D1A275C22'), REPEAT(UNHEX('00FF'), 3000000)))",
            "CREATE VIEW shop.names AS SELECT name FROM shop.quiet",
            "CREATE PROCEDURE shop.greet() SELECT 'hallo'",
            "CREATE TRIGGER shop.sealed BEFORE DELETE ON shop.quiet FOR EACH ROW SIGNAL SQLSTATE '45000'",
        )
        try:
            yield shop
        finally:
            manager.connections.close()


@contextlib.contextmanager
def restored(
    kind: type[BaseBackupStrategy], shop: Shop, stages: Sequence[Stage], name: str = "restored"
) -> Iterator[Path]:
    """A data directory that was made of a chain."""
    target = shop.machine.volume / name
    server = Server(DATASTORE, "10.11", target, shop.scratch, OWNER)
    files.ensure_directory(target, mode=0o700, owner=OWNER, group=OWNER)
    try:
        kind(shop.machine.conf, server).restore(stages, target)
        yield target
    finally:
        files.ensure_directory(target)
        shutil.rmtree(target)


class Shown:
    """A server on a restored data directory, which lets everybody in."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def ask(self, statement: str, **how: Any) -> Rows:
        opened = pymysql.connect(unix_socket=str(self.socket), user="root", charset="utf8mb4", **how)
        with opened as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())


@contextlib.contextmanager
def shown(data_dir: Path, run_dir: Path, *options: str) -> Iterator[Shown]:
    """Start a server on a data directory."""
    socket, log = run_dir / "shown.sock", run_dir / "shown.log"
    argv = [
        "/usr/sbin/mariadbd",
        "--no-defaults",
        f"--datadir={data_dir}",
        f"--socket={socket}",
        f"--log-error={log}",
        f"--pid-file={run_dir / 'shown.pid'}",
        "--skip-networking",
        "--skip-grant-tables",
        *options,
    ]
    with Producer(argv, user=OWNER) as program:
        server = Shown(socket)

        def answers() -> bool:
            assert not program.ended, log.read_text()
            try:
                return bool(server.ask("SELECT 1"))
            except pymysql.Error:
                return False

        eventually(answers, timeout=60)
        assert "[ERROR]" not in log.read_text()
        yield server
        server.ask("SHUTDOWN")
        program.finish()
    log.unlink()


def checksums(asked: Shop | Shown, tables: Sequence[str] = TABLES) -> Rows:
    """What the tables hold, in numbers."""
    return asked.ask("CHECKSUM TABLE " + ", ".join(f"shop.{table}" for table in tables))
