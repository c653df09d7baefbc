"""Backups that Trove's own agent made, restored by ours: made here with the commands of Trove 26.0.0."""

import contextlib
import dataclasses
import hashlib
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

if shutil.which("mariadb-backup") is None:
    pytest.skip("mariadb-backup is not installed", allow_module_level=True)

from guestagent import conf as options
from guestagent.backup import foreign, tasks
from guestagent.backup.job import Place, Restore, ServerFacts
from guestagent.backup.progress import silent
from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from guestagent.contract.context import RequestContext
from guestagent.storage.local import LocalStorage
from guestagent.system import files
from tests.functional.mariadb.backed_up import Instance
from tests.functional.strategies.databases import OWNER, shown
from tests.support import mariadb

CONTAINER = "database_backups"
ADMINISTRATOR, ITS_PASSWORD = "os_admin", "of-another-agent"
"""Trove's own account in every server of its."""
KEY = "a key of long ago"
ENCRYPTED = ("openssl", "enc", "-aes-256-cbc", "-md", "sha512", "-pbkdf2", "-iter", "10000", "-salt", "-pass")
"""How Trove encrypted last, and it still says how to undo it."""
ENCRYPTED_BEFORE = ("openssl", "enc", "-aes-256-cbc", "-md", "md5", "-salt", "-pass")
"""How it did first, with the digest that was its OpenSSL's default."""
CHECK_POINT = re.compile(rb"The latest check point \(for incremental\): '(\d+)'")

MakeInstance = Callable[[], Instance]


@dataclasses.dataclass(frozen=True)
class Kept:
    """A backup as Trove keeps it.

    :ivar lsn: goes into the metadata of the object.
    """

    id: str
    location: str
    checksum: str
    lsn: str
    path: Path

    def info(self, **other: Any) -> dict[str, Any]:
        """What Trove sends to an instance that begins with it, but for the store."""
        return {
            "id": self.id,
            "instance_id": str(uuid.uuid4()),
            "location": self.location,
            "type": "full",
            "checksum": self.checksum,
            "storage_driver": "local",
            **other,
        }


class Trove:
    """Trove's agent beside ours: it makes backups of an instance's server.

    :param instance: that runs.
    """

    def __init__(self, instance: Instance) -> None:
        root = instance.wire.call(instance.id, "enable_root")
        with mariadb_connection(instance, root) as cursor:
            cursor.execute(
                f"GRANT ALL ON *.* TO {ADMINISTRATOR}@localhost IDENTIFIED BY '{ITS_PASSWORD}' WITH GRANT OPTION"
            )
        self.container = instance.storage / CONTAINER
        # Stands for /etc/mysql/my.cnf, which says where the server is.
        settings = instance.agent.files["machine.conf"]["mariadb"]
        my_cnf = instance.keys.with_name("my.cnf")
        my_cnf.write_text(
            f"[client]\nsocket = {settings['socket']}\n[mysqld]\ndatadir = {settings['mount_point']}/data\n"
        )
        self._program = ["mariadb-backup", f"--defaults-file={my_cnf}", "--backup", "--stream=xbstream"]
        self._login = [f"--user={ADMINISTRATOR}", f"--password={ITS_PASSWORD}", "--host=localhost"]

    def back_up(self, parent: Kept | None = None, encryption: Sequence[str] = ()) -> Kept:
        """Make a backup and keep it under the name that Trove gives it."""
        since = [f"--incremental-lsn={parent.lsn}"] if parent else []
        commands = [[*self._program, *since, *self._login], ["gzip"]]
        if encryption:
            commands.append([*encryption, f"pass:{KEY}"])
        content, said = piped(*commands)
        assert said.splitlines()[-1].strip().endswith(b"completed OK!")
        found = CHECK_POINT.search(said)
        assert found
        made = str(uuid.uuid4())
        name = f"{made}.xbstream.gz{'.enc' if encryption else ''}"
        self.container.mkdir(parents=True, exist_ok=True)
        (self.container / name).write_bytes(content)
        checksum = hashlib.md5(content).hexdigest()
        return Kept(made, f"local://{CONTAINER}/{name}", checksum, found[1].decode(), self.container / name)


@contextlib.contextmanager
def mariadb_connection(instance: Instance, login: dict[str, Any]) -> Iterator[Any]:
    """A cursor of somebody else than the instance's user."""
    import pymysql

    with (
        pymysql.connect(
            host="127.0.0.1",
            port=instance.port,
            user=login["_name"],
            password=login["_password"],
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def piped(*commands: Sequence[str]) -> tuple[bytes, bytes]:
    """What the last of them gives, and what the first one says."""
    running: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as opened:
        for command in commands:
            process = subprocess.Popen(
                command,
                stdin=running[-1].stdout if running else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if running else subprocess.PIPE,
            )
            if running and running[-1].stdout:
                running[-1].stdout.close()
            running.append(opened.enter_context(process))
        # The first one says less than a pipe holds before the last one has given everything.
        content = running[-1].stdout.read()  # type: ignore[union-attr]
        said = running[0].stderr.read()  # type: ignore[union-attr]
    assert [process.returncode for process in running] == [0] * len(commands), said
    return content, said


@pytest.fixture
def make_instance(broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[MakeInstance]:
    made: list[Instance] = []
    with reachable_directory() as directory:

        def make() -> Instance:
            made.append(Instance(directory / str(len(made)), directory / "storage", broker, exchange, wire, conductor))
            made[-1].agent.files["machine.conf"]["backup"]["trove_aes_cbc_key"] = KEY
            return made[-1]

        yield make
        for instance in made:
            instance.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {instance.id}\n{instance.agent.tail(100)}")


def filled(instance: Instance) -> Instance:
    """The instance, prepared and with a table."""
    assert instance.prepare().method == "notify_end"
    instance.fill("wares")
    return instance


@pytest.mark.parametrize("encryption", [(), ENCRYPTED, ENCRYPTED_BEFORE], ids=["gz", "enc", "older enc"])
def test_a_backup_that_trove_made_is_restored(make_instance: MakeInstance, encryption: Sequence[str]) -> None:
    first = filled(make_instance())
    found = Trove(first).back_up(encryption=encryption)

    second = make_instance()
    assert second.prepare(databases=[], users=[], backup_info=found.info()).method == "notify_end"
    assert second.checksum("wares") == first.checksum("wares")
    page, _ = second.wire.call(second.id, "list_databases", {"limit": 20})
    assert [database["_name"] for database in page] == ["shop"]
    assert second.conductor.statuses(second.id)[-1] == "healthy"
    assert KEY not in second.agent.text()
    # It goes on with backups of ours.
    assert second.back_up()[-1].method == "notify_end"


def refused(instance: Instance, info: dict[str, Any]) -> str:
    """What the control plane hears of an instance that must not come up."""
    ended = instance.prepare(databases=[], users=[], backup_info=info)
    assert ended.method == "notify_exc_info"
    instance.conductor.wait_for_status(instance.id, "failed to spawn")
    volume = Path(str(instance.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    assert not (volume / "data").exists()
    assert not list(volume.glob(".*unfinished*"))
    return str(ended.args["message"])


def test_a_wrong_checksum_fails_the_instance(make_instance: MakeInstance) -> None:
    found = Trove(filled(make_instance())).back_up()
    said = refused(make_instance(), found.info(checksum=hashlib.md5(b"another one").hexdigest()))
    assert f"its checksum is {found.checksum}" in said


def test_a_wrong_password_fails_the_instance(make_instance: MakeInstance) -> None:
    found = Trove(filled(make_instance())).back_up(encryption=ENCRYPTED)
    second = make_instance()
    second.agent.files["machine.conf"]["backup"]["trove_aes_cbc_key"] = "another key"
    assert "trove_aes_cbc_key" in refused(second, found.info())
    assert "another key" not in second.agent.text()


def test_a_truncated_backup_fails_the_instance(make_instance: MakeInstance) -> None:
    found = Trove(filled(make_instance())).back_up()
    found.path.write_bytes(found.path.read_bytes()[:-100_000])
    assert found.id in refused(make_instance(), found.info(checksum=None))


def test_an_incremental_backup_whose_parent_nobody_knows_fails_the_instance(make_instance: MakeInstance) -> None:
    first = filled(make_instance())
    trove = Trove(first)
    full = trove.back_up()
    first.fill("more")
    found = trove.back_up(full)
    assert "the store does not say on which" in refused(make_instance(), found.info(type="incremental"))
    # The stream itself says so too.
    assert "incremental" in refused(make_instance(), found.info())


def test_a_chain_is_restored_where_the_store_keeps_metadata(
    make_instance: MakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(make_instance())
    trove = Trove(first)
    chain = [trove.back_up()]
    kept: dict[str, dict[str, str]] = {}
    for number in range(2):
        first.fill(f"t{number}")
        parent = chain[-1]
        chain.append(trove.back_up(parent))
        kept[chain[-1].path.name] = {
            "lsn": chain[-1].lsn,
            foreign.PARENT: parent.location,
            foreign.PARENT_CHECKSUM: parent.checksum,
        }

    def metadata(self: LocalStorage, context: RequestContext, container: str, name: str) -> Mapping[str, str]:
        return kept.get(name, {})

    monkeypatch.setattr(LocalStorage, "metadata", metadata)
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    conf.set_override("storage_dir", str(first.storage), "agent")
    conf.set_override("backup_strategies", ["mariabackup"], "image")
    volume = Path(str(first.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    target, run_dir = volume / "restored", volume.parent / "run"
    files.ensure_directory(target, mode=0o700, owner=OWNER, group=OWNER)
    facts = ServerFacts(mariadb.DATASTORE, "10.11", str(target), str(volume / "scratch"), OWNER)
    place = Place("local", None, CONTAINER)
    tasks.do(conf, Restore({}, place, facts, chain[-1].location, str(target), chain[-1].checksum, True), silent)
    # As the configuration of the instance has it.
    with shown(target, run_dir, "--innodb-data-file-path=ibdata1:10M:autoextend") as server:
        for table in ("wares", "t0", "t1"):
            assert server.ask(f"CHECKSUM TABLE shop.{table}") == ((f"shop.{table}", first.checksum(table)),)
