"""Process control by the machine's systemd: a service is a transient unit that the agent writes."""

import re
import signal
from pathlib import Path

from oslo_log import log

from guestagent.contract.errors import InvalidValue, SystemFailure
from guestagent.system import command, files
from guestagent.system.processes import ProcessControl, ProcessState, Service, open_log

LOG = log.getLogger(__name__)

UNIT_DIR = Path("/run/systemd/system")
TIMEOUT = 60
"""Seconds for a request to systemd, which waits for no database."""
FIRST_OWN_CODE = 200

TEMPLATE = """\
# Written by the guest agent, which keeps this service; it is gone when the service is stopped.
[Unit]
Description=Database server {name} of the guest agent
StartLimitIntervalSec=300
StartLimitBurst=4

[Service]
Type=exec
ExecStart={command}
{user}Environment={environment}
UMask=0027
StandardOutput=append:{log}
StandardError=inherit
Restart=on-failure
RestartSec=1
KillSignal={signal}
KillMode=mixed
TimeoutStopSec=infinity
LimitNOFILE={open_files}
LimitCORE={core}
TasksMax=infinity
OOMScoreAdjust=-600
NoNewPrivileges=yes
RestrictSUIDSGID=yes
"""
"""See systemd.service(5), systemd.exec(5) and systemd.kill(5). ``mixed`` asks the main process alone to end, and
clears away only what it leaves behind."""


class SystemdControl(ProcessControl):
    """Keeps services as units ``guestagent-NAME.service``; needs root.

    The unit's file is the record: it is there from the start of a service to the end of its stop. systemd
    starts a service that fails again, also while the agent is away, until it has failed four times in five minutes.

    :param unit_dir: where systemd looks for units that do not outlive a reboot.
    """

    def __init__(self, unit_dir: Path = UNIT_DIR) -> None:
        self._unit_dir = unit_dir

    def start(self, service: Service) -> None:
        status = self._status(service)
        if status["ActiveState"] == "deactivating":
            raise SystemFailure(
                subject=f"Starting {service.name}", problem="it was asked to stop and has not ended yet"
            )
        if self._state(service, status) is ProcessState.RUNNING:
            return
        _make_log(service)
        files.write(self._path(service), unit(service), mode=0o644)
        _systemctl("daemon-reload")
        # What failed before must not count against a start that somebody asked for.
        command.run(["systemctl", "reset-failed", _name(service)], timeout=TIMEOUT, accept=range(256))
        try:
            _systemctl("start", _name(service))
        except SystemFailure:
            if not self._ended_by_itself(service):
                self.stop(service, TIMEOUT)
                raise
            LOG.warning("%s ended as soon as it was started", service.name)
        else:
            LOG.info("%s runs as %s", service.name, _name(service))

    def stop(self, service: Service, timeout: float) -> None:
        if self._status(service)["ActiveState"] not in ("inactive", "failed"):
            self._stop(service, timeout)
        command.run(["systemctl", "reset-failed", _name(service)], timeout=TIMEOUT, accept=range(256))
        self._path(service).unlink(missing_ok=True)

    def state(self, service: Service) -> ProcessState:
        return self._state(service, self._status(service))

    def pid(self, service: Service) -> int | None:
        return int(self._status(service)["MainPID"]) or None

    def _stop(self, service: Service, timeout: float) -> None:
        try:
            command.run(["systemctl", "stop", _name(service)], timeout=timeout)
        except SystemFailure:
            # Only the waiting was given up: systemd goes on with the stop.
            status = self._status(service)
            if status["ActiveState"] in ("inactive", "failed"):
                return
            raise SystemFailure(
                subject=f"Stopping {service.name}",
                problem=f"process {status['MainPID']} is still there after {timeout:g} s; it was not killed",
            ) from None
        LOG.info("%s has ended", service.name)

    def _ended_by_itself(self, service: Service) -> bool:
        """Whether the program was there and ended: systemd sees that before or after the start is done, as it happens.

        Codes from 200 on are systemd's own, for what it could not set up; see systemd.exec(5), "Process Exit Codes".
        """
        status = self._status(service)
        return (
            status["Result"] in ("exit-code", "signal", "core-dump") and int(status["ExecMainStatus"]) < FIRST_OWN_CODE
        )

    def _state(self, service: Service, status: dict[str, str]) -> ProcessState:
        match status["ActiveState"], status["SubState"]:
            case ("inactive", _) if not self._path(service).exists():
                return ProcessState.STOPPED
            case ("inactive" | "failed", _):
                return ProcessState.CRASHED
            case ("activating", waiting) if waiting.startswith("auto-restart"):
                return ProcessState.CRASHED
            case _:
                return ProcessState.RUNNING

    def _status(self, service: Service) -> dict[str, str]:
        if not self._unit_dir.is_dir():
            problem = "no systemd runs this machine; set [agent] process_control = plain"
            raise SystemFailure(subject=f"Asking systemd for {service.name}", problem=problem)
        wanted = "--property=ActiveState,SubState,MainPID,Result,ExecMainStatus"
        shown = command.run(["systemctl", "show", wanted, _name(service)], timeout=TIMEOUT).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def _path(self, service: Service) -> Path:
        return self._unit_dir / _name(service)


def unit(service: Service) -> str:
    """The text of a service's unit.

    :raises InvalidValue: an argument or the log's path cannot be written in a unit.
    """
    program, *arguments = service.argv
    if set(program) & set("\"'\\") or not program.isprintable():
        raise InvalidValue(subject=f"The program {program!r}", problem="systemd runs none with quotes in its path")
    # The colon keeps systemd from replacing $VARIABLES.
    return TEMPLATE.format(
        name=service.name,
        command=" ".join([quote(f":{program}"), *map(quote, arguments)]),
        user="" if service.user is None else f"User={_verbatim(service.user)}\n",
        environment=" ".join(quote(f"{name}={value}") for name, value in command.ENVIRONMENT.items()),
        log=_verbatim(str(service.log)),
        signal=signal.Signals(service.stop_signal).name,
        open_files=service.open_files,
        core="infinity" if service.core_dumps else 0,
    )


def quote(word: str) -> str:
    """A word of a command line or an assignment, so that systemd reads exactly this word.

    See systemd.service(5), "Command lines", and systemd.syntax(7), "Quoting". ``$`` means nothing in
    assignments, and nothing in a command whose path begins with a colon.

    :raises InvalidValue: it holds a NUL or is no text.
    """
    if "\0" in word or not _is_text(word):
        raise InvalidValue(subject="An argument of the server", problem="it holds characters that no unit can hold")
    special = {"\\": "\\\\", '"': '\\"', "%": "%%"}
    return '"' + "".join(special.get(character) or _escape_control(character) for character in word) + '"'


def _escape_control(character: str) -> str:
    return character if character >= " " and character != "\x7f" else f"\\x{ord(character):02x}"


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _verbatim(value: str) -> str:
    """A value where systemd knows no quotes: only its own percent signs can be written otherwise."""
    if not re.fullmatch(r"[^\s\\]+", value) or not value.isprintable():
        raise InvalidValue(subject=f"{value!r}", problem="a unit cannot hold blanks, backslashes or control characters")
    return value.replace("%", "%%")


def _make_log(service: Service) -> None:
    try:
        open_log(service).close()
    except OSError as error:
        raise SystemFailure(subject=f"Starting {service.name}", problem=str(error)) from None


def _name(service: Service) -> str:
    return f"guestagent-{service.name}.service"


def _systemctl(*arguments: str) -> None:
    command.run(["systemctl", *arguments], timeout=TIMEOUT)
