"""Having a server replay log on restored data up to a point, and end."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from guestagent.backup.archive import Piece, Point, moment
from guestagent.backup.base import Server
from guestagent.capabilities.error_log import ErrorLog
from guestagent.system import command, files, waiting
from guestagent.system.stream import Producer
from guestagent_postgresql_wal import segments
from guestagent_postgresql_wal.errors import ReplayFailed

ERROR = re.compile(r"(?:FATAL|PANIC|ERROR): +(.*)")
READY = "database system is ready to accept connections"
SIGNAL = "recovery.signal"
POLL_SECONDS = 0.1
STOP_SECONDS = 3600
_STANDS = re.compile(r"^Latest checkpoint location: +(\S+)$", re.MULTILINE)
_TIMELINE = re.compile(r"^Latest checkpoint's TimeLineID: +(\d+)$", re.MULTILINE)


class Replay:
    """One replay.

    :param programs: the directory of the programs of the data's version.
    :param scratch: an empty directory of the server's account; all logs are in it at once.
    :param memory: shared memory of the server.
    :param seconds: that it may take.
    """

    def __init__(self, programs: Path, server: Server, scratch: Path, memory: str, seconds: float) -> None:
        self._programs = programs
        self._account = server.account
        self._scratch = scratch
        self._memory = memory
        self._seconds = seconds
        self._log = ErrorLog(scratch / "server.log", ERROR)

    def make(self, pieces: Iterator[Piece], point: Point, target: Path) -> dict[str, object]:
        """Replay the logs.

        :returns: where the data stand then.
        :raises ReplayFailed: the point was not reached.
        """
        logs = self._scratch / "log"
        files.ensure_directory(logs, mode=0o700, owner=self._account, group=self._account)
        for piece in pieces:
            shutil.move(piece.path, logs / piece.name.partition("-")[0])
        files.write(target / SIGNAL, "", mode=0o600, owner=self._account, group=self._account)
        with Producer(self._argv(logs, point, target), user=self._account) as server:
            try:
                self._wait(server, target)
            finally:
                self._stop(target)
        return self._stands(target)

    def _argv(self, logs: Path, point: Point, target: Path) -> list[str]:
        hba, ident = self._scratch / "hba.conf", self._scratch / "ident.conf"
        main = self._scratch / "server.conf"
        for path, text in ((hba, "local all all reject\n"), (ident, ""), (main, "")):
            files.write(path, text, mode=0o600, owner=self._account, group=self._account)
        settings = {
            "config_file": main,
            "data_directory": target,
            "hba_file": hba,
            "ident_file": ident,
            "listen_addresses": "",
            # It wants a socket, behind which nobody is let in.
            "unix_socket_directories": self._scratch,
            "logging_collector": "on",
            "log_directory": self._scratch,
            "log_filename": "server.log",
            "lc_messages": "C",
            "shared_buffers": self._memory,
            "hot_standby": "off",
            "archive_mode": "off",
            "autovacuum": "off",
            "max_prepared_transactions": 1000,
            "restore_command": f'cp "{logs}/%f" "%p"',
            "recovery_target_action": "promote",
            "recovery_target_timeline": "current",
            **_target(point),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), *options]

    def _wait(self, server: Producer, target: Path) -> None:
        deadline = time.monotonic() + self._seconds
        while (target / SIGNAL).exists() or READY not in files.read_part(self._scratch / "server.log", 0, 1 << 24):
            if server.ended or time.monotonic() > deadline:
                reasons = self._log.reasons(0)
                raise ReplayFailed(problem=reasons or "the server ended or did not end in time, and gave no reason")
            waiting.pause(POLL_SECONDS)

    def _stop(self, target: Path) -> None:
        argv = [str(self._programs / "pg_ctl"), "stop", f"--pgdata={target}", "--mode=fast", "--wait"]
        with waiting.shielded():
            # It may have ended by itself.
            command.run([*argv, f"--timeout={STOP_SECONDS}"], timeout=STOP_SECONDS, user=self._account, accept=range(9))

    def _stands(self, target: Path) -> dict[str, object]:
        argv = [str(self._programs / "pg_controldata"), f"--pgdata={target}"]
        said = command.run(argv, timeout=STOP_SECONDS, user=self._account).stdout
        lsn, timeline = _STANDS.search(said), _TIMELINE.search(said)
        if lsn is None or timeline is None or segments.parse(lsn[1]) is None:
            raise ReplayFailed(problem="pg_controldata does not say where the data stand")
        return {"end_lsn": lsn[1], "timeline": int(timeline[1])}


def _target(point: Point) -> dict[str, object]:
    if point.time is not None:
        return {"recovery_target_time": moment(point.time), "recovery_target_inclusive": "off"}
    name = "recovery_target_lsn" if segments.parse(point.position or "") is not None else "recovery_target_name"
    return {name: point.position}
