"""The agent's socket: who may use it, what they can ask, and what they cannot break. Real sockets, real accounts."""

import contextlib
import grp
import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent import conf as options
from guestagent.contract.errors import NotFound, SystemFailure
from guestagent.rpc import local
from guestagent.rpc.local import LocalServer, socket_path
from guestagent.rpc.local_client import Away, LocalClient, LocalFailure

PATIENCE = 10
NOBODY = pwd.getpwnam("nobody")
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b'{"method": "get_status"}\\n')
    except BrokenPipeError:
        pass
    print(connection.makefile().readline())
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A directory that every account can reach, with a short path; the agent makes it."""
    top = Path(tempfile.mkdtemp(prefix="local-"))
    top.chmod(0o755)
    yield top / "run"
    shutil.rmtree(top)


@pytest.fixture
def path(run_dir: Path) -> Path:
    return run_dir / "agent.sock"


class Script:
    """Answers as a dispatcher would."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, name: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((name, arguments))
        self.hold.wait(PATIENCE)
        match name:
            case "operation_show":
                raise NotFound(subject=f"Operation {arguments['operation_id']}")
            case "get_hwinfo":
                raise ZeroDivisionError("geheim")
            case "describe":
                return {"nobody can write this": {1, 2}}
        return {"asked": name, **arguments}


@pytest.fixture
def script() -> Script:
    return Script()


Start = Callable[..., LocalServer]


@pytest.fixture
def start(path: Path, script: Script) -> Iterator[Start]:
    """Starts servers of this test, and stops them."""
    with contextlib.ExitStack() as stack:

        def start(group: str | None = None) -> LocalServer:
            server = LocalServer(path, script, group)
            stack.callback(server.stop)
            server.start()
            return server

        yield start
    # The next test counts its own.
    until(lambda: not threads())


@pytest.fixture
def server(start: Start) -> LocalServer:
    return start()


@contextlib.contextmanager
def connected(path: Path, patience: float | None = PATIENCE) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(str(path))
        yield connection


def said(connection: socket.socket) -> Any:
    """The next line that the server says; none when it has hung up."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        line += byte
    return json.loads(line)


def answered(path: Path, line: bytes) -> Any:
    with connected(path) as connection:
        connection.sendall(line)
        return said(connection)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "local"]


def ask_as(path: Path, *privileges: str) -> Any:
    """What another account hears; none: it gets no answer."""
    process = subprocess.run(
        ["setpriv", *privileges, sys.executable, "-S", "-c", ASK, str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if process.returncode:
        assert "PermissionError" in process.stderr
        return None
    return json.loads(process.stdout)


def test_where_the_socket_is(tmp_path: Path) -> None:
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    options.register(conf)
    conf(["--config-file", "/dev/null"], default_config_dirs=[])
    assert str(socket_path(conf)) == "/run/guestagent/agent.sock"
    assert not conf.agent.local_group


def test_a_call_is_answered(server: LocalServer, path: Path, script: Script) -> None:
    found = LocalClient(path).call("operation_list", {"limit": 3}, timeout=PATIENCE)

    assert found == {"asked": "operation_list", "limit": 3}
    assert script.asked == [("operation_list", {"limit": 3})]


def test_a_connection_has_many_requests(server: LocalServer, path: Path) -> None:
    with connected(path) as connection:
        # Two at once, a piece of the third, and its rest.
        connection.sendall(b'{"method": "get_status"}\n{"method": "operation_list", "arguments": {"limit": 1}}\n{"me')
        assert said(connection) == {"result": {"asked": "get_status"}}
        assert said(connection) == {"result": {"asked": "operation_list", "limit": 1}}
        connection.sendall(b'thod": "get_status"}\n')
        assert said(connection) == {"result": {"asked": "get_status"}}


def test_an_error_has_its_id_and_its_sentence(server: LocalServer, path: Path) -> None:
    answer = answered(path, b'{"method": "operation_show", "arguments": {"operation_id": "7"}}\n')

    assert answer == {
        "error": {"id": "object.not-found", "sentence": "Operation 7 does not exist on this guest."},
    }
    with pytest.raises(LocalFailure, match=r"^Operation 7 does not exist on this guest\.$") as raised:
        LocalClient(path).call("operation_show", {"operation_id": "7"}, timeout=PATIENCE)
    assert raised.value.facts["remote_id"] == "object.not-found"


@pytest.mark.parametrize("name", ["rpc_ping", "create_database", "reset_root_password", "__init__", "stop", ""])
def test_only_our_own_namespace_is_reachable(server: LocalServer, path: Path, script: Script, name: str) -> None:
    answer = answered(path, json.dumps({"method": name}).encode() + b"\n")

    assert answer["error"]["id"] == "call.unknown"
    assert script.asked == []


@pytest.mark.parametrize("name", ["get_hwinfo", "describe"])
def test_a_mistake_of_ours_is_a_sentence_without_a_secret(
    server: LocalServer, path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(path) as connection:
        connection.sendall(json.dumps({"method": name}).encode() + b"\n")
        answer = said(connection)
        connection.sendall(b'{"method": "get_status"}\n')
        assert said(connection) == {"result": {"asked": "get_status"}}

    assert answer["error"]["id"] == "agent.internal"
    assert "geheim" not in answer["error"]["sentence"]
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"geheim",
        b"\xff\xfe\x00",
        b"[" * 60000,
        b'{"method": "get_status", "arguments": ' + b'{"a":' * 12000,
        b"[]",
        b"null",
        b"1e999",
        b'{"method": "\xff"}',
        b'{"method": 1}',
        b'{"arguments": {}}',
        b'{"method": "get_status", "arguments": []}',
        b'{"method": "get_status", "arguments": null}',
        b'{"method": "get_status", "namespace": ""}',
        b'{"method": "get_status"} {"method": "get_status"}',
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_is_not(
    server: LocalServer, path: Path, script: Script, line: bytes
) -> None:
    with connected(path) as connection:
        connection.sendall(line + b"\n")
        answer = said(connection)
        connection.sendall(b'{"method": "get_status"}\n')
        assert said(connection) == {"result": {"asked": "get_status"}}

    assert answer["error"]["id"] == "message.invalid"
    assert "geheim" not in answer["error"]["sentence"]
    assert len(script.asked) == 1


def test_a_line_may_be_long_but_not_longer(server: LocalServer, path: Path) -> None:
    empty = len(json.dumps({"method": "get_status", "arguments": {"a": ""}}))

    def request(size: int) -> bytes:
        text = json.dumps({"method": "get_status", "arguments": {"a": "x" * (size - empty)}})
        assert len(text) == size
        return text.encode() + b"\n"

    assert "result" in answered(path, request(local.LONGEST))
    for line in (request(local.LONGEST + 1), b"x" * (local.LONGEST + 1)):
        with connected(path) as connection:
            connection.sendall(line)
            assert said(connection)["error"]["id"] == "message.invalid"
            assert said(connection) is None


def test_a_line_without_an_end_costs_no_memory(server: LocalServer, path: Path) -> None:
    sent = 0
    with connected(path) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 64 << 20:
            sent += connection.send(b"x" * 65536)
    assert sent < 4 << 20


def test_half_a_request_is_not_done(server: LocalServer, path: Path, script: Script) -> None:
    with connected(path) as connection:
        connection.sendall(b'{"method": "get_status"}')
        connection.shutdown(socket.SHUT_WR)
        assert said(connection) is None
    assert script.asked == []


@pytest.mark.parametrize("drips", [False, True])
def test_a_silent_client_is_left(server: LocalServer, path: Path, monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:
    monkeypatch.setattr(local, "PATIENCE", 0.3)
    started = time.monotonic()
    with connected(path) as connection:
        connection.settimeout(0.05)
        while time.monotonic() < started + PATIENCE:
            try:
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except ConnectionResetError:
                # Closed with a drip that was not taken.
                break
            if drips:
                with contextlib.suppress(OSError):
                    connection.send(b"x")
        assert 0.2 < time.monotonic() - started < 10


def test_a_client_that_takes_no_answers_is_left(
    server: LocalServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PATIENCE", 0.3)
    line = json.dumps({"method": "get_status", "arguments": {"a": "x" * 60000}}).encode() + b"\n"
    asked = 0
    with connected(path) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while asked < 1000:
            connection.sendall(line)
            asked += 1
    assert asked < 1000
    until(lambda: len(threads()) == 1)


def test_hundreds_of_connections_take_eight_places(server: LocalServer, path: Path) -> None:
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(path, patience=None)) for _ in range(300)]
        for connection in crowd[local.PLACES :]:
            assert said(connection)["error"]["id"] == "local.crowded"
            assert said(connection) is None
        assert len(threads()) == 1 + local.PLACES
        for connection in crowd[: local.PLACES]:
            connection.sendall(b'{"method": "get_status"}\n')
            assert said(connection) == {"result": {"asked": "get_status"}}
    until(lambda: len(threads()) == 1)
    assert answered(path, b'{"method": "get_status"}\n') == {"result": {"asked": "get_status"}}


def test_who_is_turned_away_by_a_crowd_hears_why(server: LocalServer, path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(local.PLACES):
            stack.enter_context(connected(path))
        until(lambda: len(threads()) == 1 + local.PLACES)
        with pytest.raises(LocalFailure, match="has 8 connections already; try again"):
            LocalClient(path).call("get_status", {}, timeout=PATIENCE)


def test_an_agent_that_nobody_asks_has_one_thread(server: LocalServer, path: Path) -> None:
    assert len(threads()) == 1
    assert all(thread.daemon for thread in threads())
    for _ in range(20):
        LocalClient(path).call("get_status", {}, timeout=PATIENCE)
    until(lambda: len(threads()) == 1)


def test_a_machine_without_threads_is_waited_for(
    server: LocalServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as poor:
        poor.setattr(threading.Thread, "start", refuse)
        for _ in range(local.PLACES):
            with connected(path) as connection:
                assert said(connection)["error"]["id"] == "local.crowded"
    assert "result" in answered(path, b'{"method": "get_status"}\n')


def test_a_machine_without_descriptors_is_waited_for(
    path: Path, script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Poor(socket.socket):
        """Fails the first time that it is to accept."""

        failed = False

        def accept(self) -> Any:
            if not self.failed:
                Poor.failed = True
                raise OSError(24, "Too many open files")
            return super().accept()

    monkeypatch.setattr(local, "PAUSE", 0.1)
    with monkeypatch.context() as poor:
        poor.setattr("socket.socket", Poor)
        server = LocalServer(path, script)
        server.start()
    assert "result" in answered(path, b'{"method": "get_status"}\n')
    assert "Too many open files" in caplog.text
    server.stop()
    until(lambda: not threads())


def test_only_the_owner_can_reach_it(server: LocalServer, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_uid == os.geteuid()


def test_a_directory_that_is_there_keeps_its_mode(path: Path, start: Start) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o1777)
    start()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o1777


@needs_root
def test_another_account_gets_one_sentence(server: LocalServer, path: Path, script: Script) -> None:
    someone = ("--reuid", str(NOBODY.pw_uid), "--regid", str(NOBODY.pw_gid), "--clear-groups")
    assert ask_as(path, *someone) is None

    # Whoever opens the file to everybody has not opened the agent.
    path.parent.chmod(0o755)
    path.chmod(0o666)
    answer = ask_as(path, *someone)

    assert answer["error"]["id"] == "local.stranger"
    assert answer["error"]["sentence"] == (
        f"The account with uid {NOBODY.pw_uid} may not use the guest agent's socket: be root."
    )
    assert script.asked == []
    with connected(path) as connection:
        connection.sendall(b'{"method": "get_status"}\n')
        assert "result" in said(connection)


@needs_root
@pytest.mark.parametrize("there", [False, True])
def test_a_member_of_the_group_may_ask_and_nobody_else(path: Path, start: Start, there: bool) -> None:
    if there:
        # As systemd makes it.
        path.parent.mkdir(mode=0o700)
    games = grp.getgrnam("games")
    start("games")

    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert path.stat().st_gid == games.gr_gid
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o710
    someone = ("--reuid", str(NOBODY.pw_uid), "--clear-groups")
    assert "result" in ask_as(path, *someone, "--regid", str(games.gr_gid))
    assert ask_as(path, *someone, "--regid", str(NOBODY.pw_gid)) is None
    path.parent.chmod(0o755)
    path.chmod(0o666)
    sentence = ask_as(path, *someone, "--regid", str(NOBODY.pw_gid))["error"]["sentence"]
    assert sentence.endswith("be root or a member of the group 'games'.")


@needs_root
def test_the_groups_of_an_account_count(path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    games = grp.getgrnam("games").gr_gid
    listed: list[tuple[str, int]] = []

    def getgrouplist(name: str, gid: int) -> list[int]:
        listed.append((name, gid))
        return [gid, games]

    monkeypatch.setattr(os, "getgrouplist", getgrouplist)
    start("games")
    someone = ("--reuid", str(NOBODY.pw_uid), "--regid", str(NOBODY.pw_gid), "--groups", str(games))

    assert "result" in ask_as(path, *someone)
    assert listed == [("nobody", NOBODY.pw_gid)]


@needs_root
def test_an_account_that_the_machine_does_not_know_has_no_groups(path: Path, start: Start) -> None:
    start("games")
    games = str(grp.getgrnam("games").gr_gid)
    answer = ask_as(path, "--reuid", "4000000001", "--regid", "4000000001", "--groups", games)
    assert answer["error"]["id"] == "local.stranger"
    assert "uid 4000000001 " in answer["error"]["sentence"]


def test_a_socket_that_a_killed_agent_left_is_replaced(path: Path, start: Start) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    start()
    assert "result" in answered(path, b'{"method": "get_status"}\n')


def test_the_socket_of_a_living_agent_is_not(path: Path, start: Start) -> None:
    start()
    with pytest.raises(SystemFailure, match="another agent listens on it; give each agent a run_dir of its own"):
        start()
    assert "result" in answered(path, b'{"method": "get_status"}\n')


def test_a_file_is_no_socket_and_stays(path: Path, start: Start) -> None:
    path.parent.mkdir()
    path.write_text("dear")
    with pytest.raises(SystemFailure, match="is no socket; remove it"):
        start()
    assert path.read_text() == "dear"


def test_what_keeps_it_from_being_opened_is_a_sentence(tmp_path: Path, script: Script) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    for path, group, words in (
        (tmp_path / ("x" * 110) / "agent.sock", None, "path too long"),
        (occupied / "agent.sock", None, "File exists"),
        (tmp_path / "agent.sock", "no-such-group", r"no group 'no-such-group', see \[agent\] local_group"),
    ):
        server = LocalServer(path, script, group)
        with pytest.raises(SystemFailure, match=f"^Opening the socket {path} failed: .*{words}"):
            server.start()
        server.stop()
    assert not (tmp_path / "agent.sock").exists()


def test_a_group_that_cannot_be_given_leaves_no_socket(
    path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(mode=0o755)

    def refuse(*given: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(SystemFailure, match="Operation not permitted"):
        start("games")
    assert not path.exists()


def test_an_end_takes_nothing_new_and_leaves_nothing(path: Path, start: Start) -> None:
    server = start()
    with connected(path) as idle:
        until(lambda: len(threads()) == 2)
        server.stop()
        assert said(idle) is None
    assert not path.exists()
    until(lambda: not threads())
    server.stop()
    with pytest.raises(Away, match=rf"on its socket {path}: No such file or directory\."):
        LocalClient(path).call("get_status", {}, timeout=PATIENCE)


def test_whoever_comes_with_the_end_is_not_kept_waiting(
    path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    serve, held = LocalServer._serve, threading.Event()

    def serve_late(server: LocalServer, connection: socket.socket) -> None:
        held.wait(PATIENCE)
        serve(server, connection)

    monkeypatch.setattr(LocalServer, "_serve", serve_late)
    with connected(path) as late:
        until(lambda: len(threads()) == 2)
        server.stop()
        held.set()
        assert said(late) is None


def test_an_end_answers_what_is_being_answered(path: Path, start: Start, script: Script) -> None:
    server = start()
    script.hold.clear()
    with connected(path) as connection:
        connection.sendall(b'{"method": "get_status"}\n{"method": "get_status"}\n')
        until(lambda: bool(script.asked))
        server.stop()
        script.hold.set()
        assert said(connection) == {"result": {"asked": "get_status"}}
        assert said(connection) is None
    assert len(script.asked) == 1


def test_a_silent_agent_is_given_up(server: LocalServer, path: Path, script: Script) -> None:
    script.hold.clear()
    started = time.monotonic()
    with pytest.raises(Away, match=r"no answer within 0\.3 s"):
        LocalClient(path).call("get_status", {}, timeout=0.3)
    script.hold.set()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "hung up before it answered"),
        (b'{"result": 1', "hung up before it answered"),
        (b"dance\n", "none of its own answers"),
        (b"[" * 100000 + b"\n", "none of its own answers"),
        (b'{"error": "dance"}\n', "none of its own answers"),
    ],
)
def test_whoever_else_listens_is_not_believed(path: Path, answer: bytes, words: str) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Away, match=words):
            LocalClient(path).call("get_status", {}, timeout=PATIENCE)
        thread.join(PATIENCE)
