"""The plugin: what the runtime has to know about memcached."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from guestagent.capabilities.configuration import BASE, OVERRIDES, ConfigurationFiles
from guestagent.capabilities.server import ManagedServer, Preparation
from guestagent.contract.errors import DatastoreDown, InvalidValue, SystemFailure
from guestagent.guest import Guest
from guestagent.operations.plan import Step
from guestagent.system import command
from guestagent.system.processes import Service
from guestagent_memcached import options

LIVE = "memory-limit"
SETTINGS = (LIVE, "conn-limit", "max-reqs-per-event", "threads")
"""The server's options that are a user's business; all are whole numbers."""


class MemcachedManager(ManagedServer):
    """A cache: nobody logs in, and there is nothing to back up."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest)
        options.register(guest.conf)
        self._options = guest.conf.memcached
        self._directory = Path(self._options.directory)

    # The server, for ManagedServer.

    def service(self) -> Service:
        listen = [f"--listen={self._options.address}", f"--port={self._options.port}"]
        return Service(
            name=f"memcached-{self.guest.id}",
            argv=[*self._command(), *listen],
            user=self._options.account or None,
            log=self._directory / "memcached.log",
        )

    def answers(self) -> bool:
        try:
            return self._ask("version").startswith("VERSION ")
        except DatastoreDown:
            return False

    def prepare_steps(self, preparation: Preparation) -> Sequence[Step]:
        def write() -> None:
            self.write_base(preparation.config_contents)
            self.configuration.write(OVERRIDES, self.render(preparation.overrides))

        return [self.configuration_step("write the settings", write), self.start_step()]

    rebuild_steps = prepare_steps

    # Its settings, for Configurable, which ManagedServer is.

    @property
    def configuration(self) -> ConfigurationFiles:
        return ConfigurationFiles(self._directory, ".conf")

    def render(self, values: Mapping[str, Any]) -> str:
        for name, value in values.items():
            if name not in SETTINGS or not str(value).isdecimal():
                raise InvalidValue(subject=f"The setting {name!a}", problem="it is none, or not a whole number")
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    def check_configuration(self) -> None:
        try:
            command.run([*self._command(), "--version"], timeout=10)
        except SystemFailure as error:
            raise InvalidValue(subject="The configuration", problem=str(error)) from error

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        self.render(values)
        if LIVE in values and (answer := self._ask(f"cache_memlimit {values[LIVE]}")) != "OK":
            raise InvalidValue(subject=f"The setting {LIVE}", problem=answer)
        return [name for name in values if name != LIVE]

    def _command(self) -> list[str]:
        lines = [line for layer in (BASE, OVERRIDES) for line in self.configuration.read(layer).splitlines()]
        values = [(name.strip(), value.strip()) for name, _, value in (line.partition("=") for line in lines)]
        self.render(dict(values))
        return [self._options.program, *(f"--{name}={value}" for name, value in values)]

    def _ask(self, request: str) -> str:
        try:
            with socket.create_connection((self._options.address, self._options.port), timeout=2) as connection:
                connection.sendall(f"{request}\r\n".encode())
                return connection.makefile().readline().strip()
        except OSError as error:
            raise DatastoreDown(datastore="memcached", problem=str(error)) from error
