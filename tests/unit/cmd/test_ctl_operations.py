"""Operations as a person on the machine sees them: tables, progress, and the ways to the agent."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guestagent.cmd import guestagentctl
from guestagent.cmd.ctl import follow, progress
from guestagent.contract.errors import NotCancellable, NotFound
from guestagent.contract.operations import OperationDetails, StepDetails
from guestagent.rpc.local import LocalServer
from guestagent.rpc.local_client import Away
from tests.unit.cmd.conftest import GUEST_ID, Machine, answered

PATIENCE = 20
NOW = 1_700_000_100.0
HOSTILE = "\x1b[2J\x9b31m\rgone\n\u202e"


def operation(name: str = "7", **facts: Any) -> OperationDetails:
    """An operation that is running, unless it is said otherwise."""
    usual: dict[str, Any] = {
        "call": "prepare",
        "request_id": "req-1",
        "engine": "convergence",
        "state": "running",
        "phase": "install",
        "percent": None,
        "cancellable": True,
        "accepted": NOW - 100,
        "started": NOW - 90,
        "updated": NOW - 1,
        "ended": None,
        "error": None,
    }
    return OperationDetails(id=name, **{**usual, **facts})


def done(name: str = "7", **facts: Any) -> OperationDetails:
    return operation(name, **{"state": "done", "ended": NOW - 78, "percent": 100.0, **facts})


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day do not depend on where the test runs."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# How it looks


def test_the_table_has_a_line_for_each() -> None:
    waiting = operation("9", call="restart", state="queued", phase=None, started=None)
    failed = operation("8", state="failed", ended=NOW - 60, percent=41.9, error="The disk is full.")

    assert progress.table([waiting, failed, operation()], NOW).splitlines() == [
        "ID  STARTED              CALL     STATE    PHASE    PERCENT  SECONDS  REQUEST  ERROR",
        "9   -                    restart  queued   -        -        -        req-1    -",
        "8   2023-11-14 22:13:30  prepare  failed   install  41%      30.0     req-1    The disk is full.",
        "7   2023-11-14 22:13:30  prepare  running  install  -        90.0     req-1    -",
    ]


def test_one_has_its_steps() -> None:
    steps = [
        StepDetails("prepare", "mount", "done", NOW - 90, NOW - 85),
        StepDetails("prepare", "install", "running", NOW - 85),
    ]

    facts, _, table = progress.one(operation(steps=steps), NOW).partition("\n\n")

    shown = dict(re.split(r" {2,}", line) for line in facts.splitlines())
    assert shown["engine"] == "convergence"
    assert shown["can be cancelled"] == "yes"
    assert shown["accepted"] == "2023-11-14 22:13:20"
    assert shown["seconds"] == "90.0"
    assert shown["error"] == "-"
    assert table.splitlines() == [
        "PLAN     STEP     STATE    STARTED              SECONDS",
        "prepare  mount    done     2023-11-14 22:13:30  5.0",
        "prepare  install  running  2023-11-14 22:13:35  85.0",
    ]


def test_one_without_steps_has_no_table_of_them() -> None:
    assert "PLAN" not in progress.one(operation(), NOW)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (operation(), "2023-11-14 22:14:59  prepare  running  install  90.0 s  operation 7"),
        (operation(percent=42.0), "2023-11-14 22:14:59  prepare  running  42%  install  90.0 s  operation 7"),
        (
            operation(state="queued", phase=None, started=None),
            "2023-11-14 22:14:59  prepare  queued  operation 7",
        ),
        (done(), "2023-11-14 22:14:59  prepare  done  100%  12.0 s  operation 7"),
        (
            done(state="failed", percent=None, error="The disk is full."),
            "2023-11-14 22:14:59  prepare  failed  install  12.0 s  operation 7  The disk is full.",
        ),
    ],
)
def test_a_line_of_a_log(found: OperationDetails, line: str) -> None:
    assert progress.line(found, NOW) == line


@pytest.mark.parametrize(
    ("percent", "tick", "bar"),
    [
        (0.0, 0, "[..........]"),
        (42.0, 0, "[####......]"),
        (100.0, 5, "[##########]"),
        (1e300, 0, "[##########]"),
        (-5.0, 0, "[..........]"),
        (None, 0, "[###.......]"),
        (None, 3, "[...###....]"),
        (None, 7, "[.......###]"),
        (None, 8, "[......###.]"),
        (None, 14, "[###.......]"),
        (float("nan"), 1, "[.###......]"),
        (float("inf"), 1, "[.###......]"),
    ],
)
def test_a_bar(percent: float | None, tick: int, bar: str) -> None:
    assert progress.bar(percent, 10, tick) == bar


@pytest.mark.parametrize("cells", range(6))
def test_a_narrow_bar_has_its_width(cells: int) -> None:
    assert {len(progress.bar(None, cells, tick)) for tick in range(20)} == {cells + 2}


@pytest.mark.parametrize(
    ("percent", "text"), [(None, "-"), (0.4, "0%"), (99.99, "99%"), (100.0, "100%"), (float("nan"), "-")]
)
def test_a_hundred_percent_is_all(percent: float | None, text: str) -> None:
    assert progress.percent(percent) == text


def test_a_live_line_fills_the_terminal() -> None:
    assert progress.live(operation(percent=42.0), NOW, 0, 80) == (
        "prepare           [##########...............]   42%  0:01:30  install"
    )
    assert progress.live(operation(), NOW, 2, 80) == (
        "prepare           [..###....................]     -  0:01:30  install"
    )


def test_a_live_line_says_that_it_waits() -> None:
    waiting = operation(state="queued", phase=None, started=None)
    assert progress.live(waiting, NOW, 2, 80) == (
        "prepare           [.........................]     -  0:01:40  waits for its turn"
    )


@pytest.mark.parametrize("width", [0, 1, 20, 40, 60, 80, 200])
def test_a_live_line_is_never_wider_than_the_terminal(width: int) -> None:
    line = progress.live(operation(phase="a phase with a name that is far too long " * 5), NOW, 3, width)
    assert len(line) <= width
    assert ("[" in line) == (width >= 60)


def test_a_bar_stands_still_while_the_phase_changes() -> None:
    lines = [progress.live(operation(phase=phase, percent=1.0), NOW, 0, 80) for phase in ("a", "a much longer phase")]
    assert len({line.index("]") for line in lines}) == 1


@pytest.mark.parametrize("when", [float("nan"), float("inf"), 1e300, -1e300])
def test_a_time_that_is_none_is_shown_as_it_is(when: float) -> None:
    strange = operation(accepted=when, started=when, updated=when, ended=when, percent=when)
    for shown in (
        progress.table([strange], NOW),
        progress.one(strange, NOW),
        progress.line(strange, NOW),
        progress.live(strange, NOW, 1, 80),
    ):
        assert "prepare" in shown


def test_a_clock_that_was_set_back_has_begun_nothing_in_the_future() -> None:
    assert " 0.0 s " in progress.line(operation(started=NOW + 100), NOW)
    assert " 0:00:00 " in progress.live(operation(started=NOW + 100), NOW, 1, 80)


def hostile() -> OperationDetails:
    words = dict.fromkeys(("call", "request_id", "engine", "state", "phase", "error"), HOSTILE)
    return operation(HOSTILE, **words, steps=[StepDetails(HOSTILE, HOSTILE, HOSTILE, NOW)])


def test_no_operation_commands_the_terminal() -> None:
    shown = [
        progress.table([hostile()], NOW),
        progress.one(hostile(), NOW),
        progress.line(hostile(), NOW),
        progress.live(hostile(), NOW, 1, 200),
    ]
    assert all(letter.isprintable() for text in shown for letter in text.replace("\n", ""))
    assert [len(text.splitlines()) for text in shown] == [2, 14 + 1 + 2, 1, 1]


# What is seen as a change


class Told:
    """Keeps what was to be shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[list[str], list[str], str]] = []

    def show(self, changed: Any, running: Any, note: str) -> None:
        self.shown.append(([f"{o.id} {o.state}" for o in changed], [o.id for o in running], note))


Seen = list[OperationDetails] | Exception


def watched(monkeypatch: pytest.MonkeyPatch, *looks: Seen, until: str = "", patience: float = 100) -> Told:
    """Follow what so many looks see, each a second after the one before; the next is Ctrl-C."""
    told, left = Told(), [*looks]
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += 1

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def look() -> list[OperationDetails]:
        if not left:
            raise KeyboardInterrupt
        seen = left.pop(0)
        if isinstance(seen, Exception):
            raise seen
        return seen

    with contextlib.suppress(KeyboardInterrupt):
        follow.follow(look, told, patience=patience, until=lambda o: o.id == until and follow.is_ended(o))
    return told


def test_what_had_ended_is_no_news_and_what_ends_between_two_looks_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = watched(monkeypatch, [done("1")], [done("2"), done("1")], [operation("4"), done("3"), done("2"), done("1")])

    assert told.shown == [
        ([], [], "nothing is running"),
        (["2 done"], [], "nothing is running"),
        (["3 done", "4 running"], ["4"], ""),
    ]


def test_time_alone_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [operation(updated=NOW + more, percent=10 + more / 10) for more in range(3)]
    told = watched(monkeypatch, *([one] for one in same), [operation(percent=11.5)], [operation(phase="start")])
    assert [changed for changed, _, _ in told.shown] == [["7 running"], [], [], ["7 running"], ["7 running"]]


def test_one_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    told = watched(monkeypatch, [operation()], [done()], [done()], until="7")
    assert told.shown == [(["7 running"], ["7"], ""), (["7 done"], [], "")]


def test_one_that_has_ended_is_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, [done()], [done()], until="7").shown == [(["7 done"], [], "")]


def test_an_agent_that_is_restarted_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Away(path="x", problem="gone")
    told = watched(monkeypatch, [operation()], gone, gone, [operation(phase="start")], patience=3)

    assert told.shown[1:] == [
        ([], ["7"], "the agent is away; waiting for it"),
        ([], ["7"], "the agent is away; waiting for it"),
        (["7 running"], ["7"], ""),
    ]


def test_an_agent_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Away(path="x", problem="gone")
    with pytest.raises(Away):
        watched(monkeypatch, [operation()], *[gone] * 9, patience=3)
    with pytest.raises(Away):
        watched(monkeypatch, gone, [operation()], patience=3)
    # How long it has been followed does not count.
    assert len(watched(monkeypatch, *[[operation()]] * 9, gone, [done()], patience=3).shown) == 11


def test_rows_are_drawn_in_their_place() -> None:
    assert follow.redrawn(0, [], ["a"]) == "\x1b[?7la\x1b[K\n\x1b[J\x1b[?7h"
    assert follow.redrawn(2, [], ["a", "b"]) == "\x1b[2A\x1b[?7la\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h"
    assert follow.redrawn(1, ["ended"], []) == "\x1b[1A\x1b[Jended\n\x1b[?7l\x1b[J\x1b[?7h"


# The program


class Scripted:
    """An agent on this machine that answers what the test says."""

    def __init__(self, directory: Path) -> None:
        self.operations: list[OperationDetails] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.engine = "legacy"
        self.looked = threading.Event()
        self.server = LocalServer(directory / "agent.sock", self.answer)

    def answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((name, arguments))
        self.looked.set()
        match name:
            case "operation_list":
                return msgspec.to_builtins(self.operations[: arguments["limit"]])
            case "operation_show":
                return msgspec.to_builtins(self._find(arguments["operation_id"]))
            case "operation_cancel":
                found = self._find(arguments["operation_id"])
                if not found.cancellable:
                    raise NotCancellable(operation_id=found.id, operation=found.call, problem="it has ended")
                return msgspec.to_builtins(found)
            case "convert_engine":
                before, self.engine = self.engine, "convergence"
                return {"before": before, "after": self.engine}
            case "get_status":
                return {
                    "service_status": "healthy",
                    "phase": "ready",
                    "wanted": "running",
                    "datastore_version": "1.0",
                    "operation": None,
                }
            case "describe":
                plugin = {"name": "alpha", "distribution": "guest-alpha", "version": "1.0"}
                return {"guest_id": GUEST_ID, "runtime": {"name": "guestagent", "version": "1"}, "datastore": plugin}
            case "get_diagnostics":
                return {"uptime": 3.0, "vm_rss": 1 << 20, "threads": 4}
        return "dance"

    def _find(self, name: str) -> OperationDetails:
        for found in self.operations:
            if found.id == name:
                return found
        raise NotFound(subject=f"Operation {name}")

    def look(self) -> None:
        """Wait until somebody has looked again."""
        self.looked.clear()
        assert self.looked.wait(PATIENCE)


@pytest.fixture
def agent(machine: Machine) -> Iterator[Scripted]:
    scripted = Scripted(machine.directory)
    scripted.server.start()
    yield scripted
    scripted.server.stop()


def test_operations_is_a_table(machine: Machine, agent: Scripted) -> None:
    agent.operations = [operation("9", state="queued", started=None), done("8")]

    process = machine.ctl("operations")

    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines()]
    assert lines[0][:3] == ["ID", "STARTED", "CALL"]
    assert [line[0] for line in lines[1:]] == ["9", "8"]
    assert agent.asked == [("operation_list", {"limit": 20})]


def test_operations_for_programs(machine: Machine, agent: Scripted) -> None:
    agent.operations = [operation("9"), done("8")]
    assert answered(machine.ctl("operations", "--json", "--limit", "1")) == [msgspec.to_builtins(operation("9"))]
    assert answered(machine.ctl("operations", "8", "--json")) == msgspec.to_builtins(done("8"))


def test_an_agent_that_has_done_nothing(machine: Machine, agent: Scripted) -> None:
    assert machine.ctl("operations").stdout == "no operation is known\n"


def test_an_operation_by_its_id(machine: Machine, agent: Scripted) -> None:
    agent.operations = [operation(steps=[StepDetails("prepare", "mount", "done", NOW - 90, NOW - 85)])]

    process = machine.ctl("operations", "7")

    assert process.returncode == 0, process.stderr
    assert re.search(r"^prepare +mount +done ", process.stdout, re.MULTILINE)


def test_an_operation_that_nobody_knows(machine: Machine, agent: Scripted) -> None:
    process = machine.ctl("operations", f"7{HOSTILE}")
    assert process.returncode == 1
    assert process.stderr == "guestagentctl: Operation 7?[2J?31m gone ? does not exist on this guest\n"


def test_nothing_of_an_agent_commands_the_terminal(machine: Machine, agent: Scripted) -> None:
    agent.operations = [hostile()]
    for typed in (["operations"], ["operations", "--json"], ["operations", HOSTILE]):
        process = machine.ctl(*typed)
        assert process.returncode == 0, process.stderr
        assert process.stdout.replace("\n", "").isprintable()


def test_cancel(machine: Machine, agent: Scripted) -> None:
    agent.operations = [operation("7"), operation("8", state="cancelled", ended=NOW), done("9", cancellable=False)]

    running, waiting, ended = (machine.ctl("operations", "--cancel", name) for name in "789")

    assert running.returncode == waiting.returncode == 0
    assert "  running  " in running.stdout
    assert "before its next step" in running.stdout
    assert "  cancelled  " in waiting.stdout
    assert "next step" not in waiting.stdout
    assert ended.returncode == 1
    assert ended.stderr == "guestagentctl: Operation 9 ('prepare') cannot be cancelled: it has ended\n"
    assert answered(machine.ctl("operations", "7", "--cancel", "--json"))["id"] == "7"
    assert {name for name, _ in agent.asked} == {"operation_cancel"}


def test_cancel_needs_to_know_what(machine: Machine, agent: Scripted) -> None:
    process = machine.ctl("operations", "--cancel")
    assert process.returncode == 2
    assert "--cancel needs the ID of an operation" in process.stderr
    assert agent.asked == []


@pytest.mark.parametrize("typed", [["--follow", "--cancel", "7"], ["--limit", "0"], ["--limit", "many"]])
def test_a_command_line_that_is_wrong(capsys: pytest.CaptureFixture[str], typed: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guestagentctl.main(["operations", *typed])
    assert ended.value.code == 2


def test_an_answer_that_is_none_of_the_contract(machine: Machine, agent: Scripted) -> None:
    agent.operations = ["dance"]  # type: ignore[list-item]
    process = machine.ctl("operations")
    assert process.returncode == 1
    assert "is not understood" in process.stderr
    assert len(process.stderr.splitlines()) == 1


# Following


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(machine: Machine) -> Iterator[Run]:
    """Starts the program, and ends it."""
    with contextlib.ExitStack() as stack:

        def start(*typed: str, **how: Any) -> "subprocess.Popen[str]":
            file = machine._file({})
            command = [sys.executable, "-m", "guestagent.cmd.guestagentctl", *typed, "--config-file", file]
            variables = {**os.environ, "PYTHONPATH": str(machine.directory), "TZ": "UTC", "TERM": "xterm"}
            # It must not wait with a line until its buffer is full.
            variables.pop("PYTHONUNBUFFERED", None)
            how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
            process = stack.enter_context(
                subprocess.Popen(command, env=variables, cwd=machine.directory, text=True, **how)
            )
            stack.callback(process.kill)
            return process

        yield start


def test_a_pipe_gets_a_line_for_each_change(run: Run, agent: Scripted) -> None:
    agent.operations = [operation("7", percent=1.0), done("6")]
    process = run("operations", "--follow", "7")
    assert process.stdout is not None
    assert "  running  1%  install  " in process.stdout.readline()
    # Looked at again and again, and nothing new.
    agent.look()
    agent.look()
    agent.operations[0] = operation("7", percent=60.0, phase="start")
    assert "  running  60%  start  " in process.stdout.readline()
    agent.operations[0] = done("7")
    assert "  done  100%  " in process.stdout.readline()
    rest, complaints = process.communicate(timeout=PATIENCE)
    assert (rest, complaints, process.returncode) == ("", "", 0)


def test_a_program_gets_json_for_each_change(run: Run, agent: Scripted) -> None:
    agent.operations = [operation("7"), done("6")]
    process = run("operations", "--follow", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == msgspec.to_builtins(agent.operations[0])
    agent.operations.insert(0, operation("8", phase=HOSTILE))
    line = process.stdout.readline()
    assert json.loads(line)["phase"] == HOSTILE
    assert line.removesuffix("\n").isprintable()
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate(timeout=PATIENCE)
    assert (rest, complaints, process.returncode) == ("", "", 130)


def test_whoever_follows_one_that_fails_hears_it(run: Run, agent: Scripted) -> None:
    agent.operations = [done("7", state="failed", percent=None, error="The disk is full.")]
    process = run("operations", "--follow", "7")
    shown, complaints = process.communicate(timeout=PATIENCE)
    assert len(shown.splitlines()) == 1
    assert complaints == "guestagentctl: Operation 7 ('prepare') has ended as failed: The disk is full\n"
    assert process.returncode == 1


def test_a_reader_that_has_seen_enough_ends_it(run: Run, agent: Scripted) -> None:
    agent.operations = [operation("7")]
    process = run("operations", "--follow")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    agent.operations[0] = operation("7", phase="start")
    assert process.wait(PATIENCE) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_restart_of_the_agent_is_survived(run: Run, agent: Scripted, machine: Machine) -> None:
    agent.operations = [operation("7")]
    process = run("operations", "--follow", "7", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    agent.server.stop()
    time.sleep(1.2)
    agent.operations = [done("7")]
    agent.server = LocalServer(machine.directory / "agent.sock", agent.answer)
    agent.server.start()
    assert json.loads(process.stdout.readline())["state"] == "done"
    assert process.wait(PATIENCE) == 0


class Terminal:
    """A terminal of 80 columns, and everything that was written to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.written = ""

    def until(self, words: str) -> str:
        """Read on until these words come; everything up to there, since the last time."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.written:
            assert time.monotonic() < deadline, self.written
            if select.select([self.ours], [], [], 0.1)[0]:
                self.written += os.read(self.ours, 65536).decode()
        before, _, self.written = self.written.partition(words)
        return before + words


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.ours)
    os.close(made.theirs)


def test_a_terminal_gets_bars_that_are_drawn_in_their_place(run: Run, agent: Scripted, terminal: Terminal) -> None:
    agent.operations = [
        operation("9", call="restart", state="queued", accepted=time.time(), started=None, phase=None),
        operation("8", call=HOSTILE, phase=HOSTILE, started=time.time()),
        operation("7", percent=42.0, started=time.time() - 90),
    ]
    process = run("operations", "--follow", stdout=terminal.theirs)

    first = terminal.until("\x1b[?7h")
    assert "\x1b[3A" not in first
    rows = first.removeprefix("\x1b[?7l").split("\x1b[K\r\n")[:3]
    assert rows[0].startswith("prepare           [##########...............]   42%  ")
    assert rows[0].endswith("  install")
    assert rows[2].startswith("restart           [.........................]     -  ")
    assert all(row.isprintable() and len(row) <= 80 for row in rows)
    # Again, over the rows that are there, and the part that moves has moved.
    second = terminal.until("\x1b[?7h")
    assert second.startswith("\x1b[3A\x1b[?7lprepare ")
    assert second.split("\x1b[K\r\n")[1] != rows[1]

    agent.operations[2] = done("7", percent=100.0)
    agent.operations[:2] = []
    ended = terminal.until("nothing is running")
    assert ended.index("\x1b[3A\x1b[J") < ended.index("  prepare  done  100%  ") < ended.index("\x1b[?7l", 3)
    assert terminal.until("\x1b[1A").startswith("\x1b[K\r\n\x1b[J\x1b[?7h")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_terminal_is_left_with_the_end_of_the_one_that_was_followed(
    run: Run, agent: Scripted, terminal: Terminal
) -> None:
    agent.operations = [operation("7")]
    process = run("operations", "--follow", "7", stdout=terminal.theirs)
    terminal.until("\x1b[?7h")
    agent.operations = [done("7")]
    assert process.wait(PATIENCE) == 0
    last = terminal.until("  prepare  done  100%  ") + terminal.until("\x1b[J\x1b[?7h")
    assert "nothing is running" not in last


def test_a_terminal_says_that_the_agent_is_away(run: Run, agent: Scripted, terminal: Terminal) -> None:
    agent.operations = [operation("7")]
    process = run("operations", "--follow", "--timeout", "5", stdout=terminal.theirs)
    terminal.until("install")
    agent.server.stop()
    terminal.until("the agent is away; waiting for it")
    assert process.wait(PATIENCE) == 3
    assert process.stderr is not None
    assert "does not answer on its socket" in process.stderr.read()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch, term: str, terminal: Terminal) -> None:
    with os.fdopen(os.dup(terminal.theirs), "w") as stream:
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(follow.display(stream, as_json=False), follow.Screen)
        assert isinstance(follow.display(stream, as_json=True), follow.Log)
        monkeypatch.setenv("TERM", term or "dumb")
        if not term:
            monkeypatch.delenv("TERM")
        assert isinstance(follow.display(stream, as_json=False), follow.Log)


def test_more_than_fits_is_counted(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 5)))
    with os.fdopen(os.dup(terminal.theirs), "w") as stream:
        follow.Screen(stream).show([], [operation(str(number)) for number in range(9)], "")
        rows = terminal.until("\x1b[?7h").split("\r\n")
    assert len(rows) == 5
    assert rows[3].startswith("and 6 more")


# The ways to the agent


def test_without_a_socket_the_broker_is_asked(machine: Machine) -> None:
    injected = {"guest_id": GUEST_ID, "transport_url": "rabbit://guest:geheim@127.0.0.1:1/"}

    process = machine.ctl("operations", "--timeout", "5", injected=injected)

    assert process.returncode == 3
    assert f"does not answer on its socket {machine.directory}/agent.sock: No such file" in process.stderr
    assert "The broker of transport_url cannot be used: " in process.stderr
    assert "Connection refused" in process.stderr
    assert len(process.stderr.splitlines()) == 1
    assert "geheim" not in process.stderr


@pytest.mark.parametrize("command", ["operations", "convert-engine"])
def test_with_neither_both_are_said(machine: Machine, command: str) -> None:
    process = machine.ctl(command, *(["--yes"] if command == "convert-engine" else []))
    assert process.returncode == 3
    assert "does not answer on its socket" in process.stderr
    assert "the files have no guest_id" in process.stderr


def test_the_broker_can_be_asked_where_there_is_a_socket(machine: Machine, agent: Scripted) -> None:
    process = machine.ctl("operations", "--broker")
    assert process.returncode == 2
    assert process.stderr.startswith("guestagentctl: No agent can be asked: ")
    assert agent.asked == []


def test_the_socket_is_not_looked_for_where_the_broker_is_to_be_asked(machine: Machine) -> None:
    process = machine.ctl("operations", "--broker")
    assert process.returncode == 2
    assert process.stderr.startswith("guestagentctl: No agent can be asked: ")


WITHOUT_MESSAGING = """
import sys
from guestagent.cmd import guestagentctl
code = guestagentctl.main(sys.argv[1:])
assert "oslo_messaging" not in sys.modules
sys.exit(code)
"""


def test_a_socket_needs_no_broker_and_no_client_for_one(machine: Machine, agent: Scripted) -> None:
    process = machine.site.run("-c", WITHOUT_MESSAGING, "operations", "--config-file", machine._file({}))
    assert process.returncode == 0, process.stderr


def test_status_is_known_without_a_broker(machine: Machine, agent: Scripted) -> None:
    process = machine.ctl("status")
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[:2] == [f"guest           {GUEST_ID}", "service status  healthy"]
    assert lines[-1].startswith("broker          No agent can be asked: the files have no guest_id")
    assert "no guest_id" in answered(machine.ctl("status", "--json"))["broker"]


# The change of the engine


def test_an_instance_is_converted_and_once_is_enough(machine: Machine, agent: Scripted) -> None:
    first, second = machine.ctl("convert-engine", "--yes"), machine.ctl("convert-engine", "--yes")
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == "the engine of this instance was 'legacy' and is 'convergence' from now on\n"
    assert second.stdout == "nothing to do: the engine of this instance is 'convergence' already\n"
    assert answered(machine.ctl("convert-engine", "--yes", "--json")) == {
        "before": "convergence",
        "after": "convergence",
    }


@pytest.mark.parametrize(("typed", "converted"), [("yes\n", True), ("Y\n", True), ("no\n", False), ("\n", False)])
def test_a_person_is_asked(run: Run, agent: Scripted, terminal: Terminal, typed: str, converted: bool) -> None:
    process = run("convert-engine", stdin=terminal.theirs, stderr=terminal.theirs)
    meaning = terminal.until("Convert this instance? [yes/no] ")
    assert "there is no way back" in meaning
    assert agent.asked == []
    os.write(terminal.ours, typed.encode())
    assert process.wait(PATIENCE) == (0 if converted else 2)
    assert agent.engine == ("convergence" if converted else "legacy")
    if not converted:
        terminal.until("Nothing was changed")


def test_a_program_must_say_that_it_means_it(run: Run, agent: Scripted) -> None:
    process = run("convert-engine", stdin=subprocess.PIPE)
    _, complaints = process.communicate("yes\n", timeout=PATIENCE)
    assert process.returncode == 2
    assert "--yes" in complaints
    assert agent.asked == []


@pytest.mark.parametrize("command", ["operations", "convert-engine"])
def test_the_help_teaches(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit):
        guestagentctl.main([command, "--help"])
    shown = capsys.readouterr().out
    assert f"guestagentctl {command}" in shown.partition("examples:")[2]
    assert "--broker" in shown
