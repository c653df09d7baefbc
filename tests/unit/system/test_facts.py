"""Facts: of the right size, and in a form that crosses the wire."""

import json
import os
import subprocess
import sys

from guestagent.system import facts

COUNT = """
import json, os, threading
from guestagent.system import facts
print(json.dumps(facts.agent_process()))
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.open("/dev/null", os.O_RDONLY)
print(json.dumps(facts.agent_process()))
"""
"""Of a process in which nobody else begins or ends anything."""


def test_hardware_can_be_sent_and_is_in_bytes() -> None:
    hardware = facts.hardware()
    assert json.loads(json.dumps(hardware)) == hardware
    assert hardware["num_cpus"] == os.cpu_count()
    assert hardware["mem_total"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < hardware["mem_available"] <= hardware["mem_total"]


def test_disks_have_a_name_and_a_size() -> None:
    for disk in facts.hardware()["disks"]:
        assert set(disk) == {"name", "size", "read_only"}
        assert disk["size"] > 0


def test_the_agents_process_can_be_sent_and_is_this_one() -> None:
    process = facts.agent_process()
    assert json.loads(json.dumps(process)) == process
    assert process["vm_rss"] <= process["vm_hwm"] < 1 << 34
    assert 1 << 20 < process["vm_rss"] < process["vm_size"] <= process["vm_peak"]
    assert process["cpu_seconds"] > 0
    assert 0 < process["uptime"] < 86400
    assert process["version"]


def test_threads_and_files_are_counted() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, timeout=60, check=True)
    before, now = map(json.loads, done.stdout.splitlines())
    assert now["threads"] == before["threads"] + 1
    assert now["open_files"] == before["open_files"] + 1
    assert now["fd_size"] >= now["open_files"]


def test_what_troves_management_api_shows_is_there() -> None:
    # trove/extensions/mgmt/instances/views.py, HwInfoView and DiagnosticsView
    assert {"mem_total", "num_cpus"} <= set(facts.hardware())
    shown = {"version", "threads", "fd_size", "vm_size", "vm_peak", "vm_rss", "vm_hwm"}
    assert shown <= set(facts.agent_process())
