"""The measurement of backups, on little data: everyone backs up and restores a real database."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.backup.families import DATASTORES, family
from benchmarks.budgets import ENCRYPTING_WORKER, QUIET, WORKER

ROOT = Path(__file__).resolve().parents[3]
SIZE_MIB = 16


@pytest.mark.parametrize("name", DATASTORES)
def test_everything_is_measured(tmp_path: Path, name: str):
    measured = family(name)
    ways = {*measured.bare, WORKER, ENCRYPTING_WORKER}
    output = tmp_path / "result.json"
    output.write_text('{"figures": {}}')

    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.backup", "--datastore", name),
            *("--rounds", "1", "--size-mib", str(SIZE_MIB), "--output", str(output)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr
    document = json.loads(output.read_text())
    assert document["figures"] == {}
    found = document[measured.part]
    figures = found["figures"]
    assert found["settings"]["data_mib"] > SIZE_MIB
    assert set(figures["backup_mib_s"]) == ways | set(measured.slow)
    assert set(figures["restore_mib_s"]) == ways
    assert set(figures["restore_cpu_s"]) == ways
    assert set(figures.get("queries_per_s", ())) == (ways | {QUIET} if measured.ask else set())
    assert all(0 < figures["stored_mib"][name]["median"] < found["settings"]["data_mib"] for name in ways)
    assert all(20 < figures["peak_mib"][name]["median"] < 200 for name in (WORKER, ENCRYPTING_WORKER))
    assert len(found["budgets"]) == len(measured.budgets)
