"""Where a backup stands, from what pg_basebackup says."""

import pytest
from guestagent_pg_basebackup.positions import Positions

from guestagent.contract.errors import DatastoreError

SAID = """\
pg_basebackup: initiating base backup, waiting for checkpoint to complete
pg_basebackup: checkpoint completed
pg_basebackup: write-ahead log start point: 1/A4000028 on timeline 3
pg_basebackup: write-ahead log end point: 1/A4000100
pg_basebackup: base backup completed
"""


def test_they_are_read() -> None:
    found = Positions.told(SAID, "15.18")
    assert found.kept() == {
        "start_lsn": "1/A4000028",
        "end_lsn": "1/A4000100",
        "timeline": 3,
        "server_version": "15.18",
    }


@pytest.mark.parametrize("missing", ["start", "end"])
def test_a_backup_that_does_not_tell_is_none(missing: str) -> None:
    with pytest.raises(DatastoreError, match="has not told"):
        Positions.told(SAID.replace(f"log {missing} point", "log"), "15.18")
