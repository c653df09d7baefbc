"""The measurement of backups, on little data: everyone backs up and restores a real database."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.budgets import ENCRYPTING_WORKER, GZIP_PIPELINE, PIPELINE, QUIET, WORKER

ROOT = Path(__file__).resolve().parents[3]
SIZE_MIB = 16
WAYS = {PIPELINE, WORKER, ENCRYPTING_WORKER}


def test_everything_is_measured(tmp_path: Path):
    output = tmp_path / "result.json"
    output.write_text('{"figures": {}}')

    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.backup"),
            *("--rounds", "1", "--size-mib", str(SIZE_MIB), "--output", str(output)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )

    assert done.returncode == 0, done.stderr
    document = json.loads(output.read_text())
    assert document["figures"] == {}
    figures = document["backup"]["figures"]
    assert document["backup"]["settings"]["data_mib"] > SIZE_MIB
    assert set(figures["backup_mib_s"]) == WAYS | {GZIP_PIPELINE}
    assert set(figures["restore_mib_s"]) == WAYS
    assert set(figures["restore_cpu_s"]) == WAYS
    assert set(figures["queries_per_s"]) == WAYS | {QUIET}
    assert all(0 < figures["stored_mib"][name]["median"] < document["backup"]["settings"]["data_mib"] for name in WAYS)
    assert all(20 < figures["peak_mib"][name]["median"] < 200 for name in (WORKER, ENCRYPTING_WORKER))
    assert [budget["figure"] for budget in document["backup"]["budgets"]]
