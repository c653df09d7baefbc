"""Binary logs archived while a server is written to, and instances that begin at a moment between two changes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functional.mariadb.backed_up import Instance, backup_info, completed
from tests.functional.mariadb.machine import reachable_directory
from tests.support.conductor import Conductor
from tests.support.rabbit import Rabbit
from tests.support.wire import Wire

MakeInstance = Callable[..., Instance]


@pytest.fixture
def make_instance(broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor) -> Iterator[MakeInstance]:
    made: list[Instance] = []
    with reachable_directory() as directory:
        storage = directory / "storage"

        def make(**options: object) -> Instance:
            instance = Instance(directory / str(len(made)), storage, broker, exchange, wire, conductor)
            groups = instance.agent.files["machine.conf"]
            groups["image"]["archive_strategies"] = "mariadb_binlog"
            groups["mariadb"]["binary_log"] = True
            groups["backup"].update(options)
            made.append(instance)
            return instance

        yield make
        for instance in made:
            instance.close()
            # Shown by pytest beside a test that failed.
            print(f"--- log of {instance.id}\n{instance.agent.tail(100)}")


def archive(instance: Instance) -> dict[str, Any]:
    return instance.wire.call(instance.id, "archive_logs", namespace="guestagent", timeout=60)


def test_all(make_instance: MakeInstance) -> None:
    first = make_instance()
    assert first.prepare().method == "notify_end"
    first.sql("CREATE TABLE wares (id INT PRIMARY KEY)")
    first.sql("INSERT INTO wares VALUES (1)")
    found = completed(first.back_up())
    for number in range(2, 6):
        first.sql(f"INSERT INTO wares VALUES ({number})")
        print(archive(first))
    print(first.wire.call(first.id, "recovery_window", namespace="guestagent"))
    second = make_instance()
    gtid = first.sql("SELECT @@gtid_binlog_pos")[0][0]
    print(gtid)
    domain, server, number = gtid.split("-")
    info = backup_info(found) | {"recover_to": f"{domain}-{server}-{int(number) - 1}"}
    assert second.prepare(databases=[], users=[], backup_info=info).method == "notify_end"
    assert second.sql("SELECT COUNT(*) FROM wares") == ((4,),)
