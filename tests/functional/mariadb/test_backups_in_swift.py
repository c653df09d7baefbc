"""Backups in a real Swift, with what the control plane sends and what it looks at afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.directories import reachable_directory
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.functional.mariadb.backed_up import Instance
from tests.support.backed_up import backup_info, completed
from tests.support.swift import Swift


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    with Swift(tmp_path_factory.mktemp("swift")) as made:
        yield made


def test_a_chain_goes_to_swift_and_comes_back(
    swift: Swift, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor
) -> None:
    store = {"storage_driver": "swift", "swift_url": swift.url}
    with reachable_directory() as directory:

        def make(name: str) -> Instance:
            place = directory / name
            return Instance(place, directory / "local", broker, exchange, wire, conductor, store, swift.token())

        first, second = make("first"), make("second")
        try:
            assert first.prepare().method == "notify_end"
            first.fill("wares")
            full = completed(first.back_up())
            first.fill("more")
            found = completed(first.back_up(full))
            assert found["location"].startswith(f"{swift.url}/database_backups/")

            # What Trove's API compares before it lets an instance begin with a backup.
            path = found["location"].removeprefix(swift.url)
            shown = swift.ask("HEAD", path)
            assert shown.status == 200
            assert shown.headers["etag"].strip('"') == found["checksum"]

            info = backup_info(found, store)
            assert second.prepare(databases=[], users=[], backup_info=info).method == "notify_end"
            for table in ("wares", "more"):
                assert second.checksum(table) == first.checksum(table)

            # As Trove deletes it: with all that it is made of.
            assert swift.ask("DELETE", path, {"multipart-manifest": "delete"}).status == 200
            left = swift.ask("GET", "/database_backups").content.decode().split()
            assert [name for name in left if name.startswith(found["backup_id"])] == []
            assert [name for name in left if name.startswith(full["backup_id"])] != []
        finally:
            first.close()
            second.close()


def test_a_token_that_has_expired_fails_the_backup_at_once(
    swift: Swift, broker: Rabbit, exchange: str, wire: Wire, conductor: Conductor, tmp_path: Path
) -> None:
    store = {"storage_driver": "swift", "swift_url": swift.url}
    with reachable_directory() as directory:
        instance = Instance(directory / "i", directory / "local", broker, exchange, wire, conductor, store, "no-token")
        try:
            instance.prepare()
            reports = instance.back_up()
            assert [report.args.get("state") for report in reports] == ["BUILDING", "FAILED", None]
            assert "token" in reports[-1].args["message"]
            assert "no-token" not in instance.agent.text()
        finally:
            instance.close()
