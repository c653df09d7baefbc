"""Configuration as layers of files, and the calls that change it."""

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.contract.states import ServiceStatus
from guestagent.manager import BaseDatastoreManager
from guestagent.operations.plan import Plan, Step
from guestagent.system import files

BASE = "base"
OVERRIDES = "overrides"
AGENT = "agent"
LAYERS = (BASE, OVERRIDES, AGENT)
"""In the order of their strength: what the agent must have its way with comes last."""
CHANGEABLE = (BASE, OVERRIDES)
"""What somebody else decides, and a server may refuse."""


class ConfigurationFiles:
    """The layers of one server's configuration, a file each, replaced whole or not at all.

    :param directory: holds the files.
    :param suffix: of the files' names, with its dot.
    :param reader: the server's account. Its group, which has its name, may read the files and not write
        them: a superuser of a database can often write wherever the server can. None: the agent's own.
    """

    def __init__(self, directory: Path, suffix: str, reader: str | None = None) -> None:
        self.directory = directory
        self._suffix = suffix
        self._reader = reader

    def path(self, layer: str) -> Path:
        """The file of a layer."""
        return self.directory / f"{LAYERS.index(layer)}-{layer}{self._suffix}"

    def read(self, layer: str) -> str:
        """A layer's text; one that was never written is empty."""
        try:
            return self.path(layer).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(self, layer: str, text: str) -> None:
        """Replace a layer."""
        self.write_beside(self.path(layer), text)

    def write_beside(self, path: Path, text: str) -> None:
        """Replace a file that belongs to the layers and is none, for example the one that includes them."""
        files.ensure_directory(path.parent, mode=0o750, group=self._reader)
        files.write(path, text, mode=0o640 if self._reader else 0o600, group=self._reader)

    def beside(self, name: str) -> "ConfigurationFiles":
        """Other layers of the same server, kept in a directory below."""
        return ConfigurationFiles(self.directory / name, self._suffix, self._reader)

    def snapshot(self) -> dict[str, str]:
        """The texts of all layers, for :meth:`restore`."""
        return {layer: self.read(layer) for layer in LAYERS}

    def restore(self, texts: Mapping[str, str]) -> None:
        """Make the layers what they were; repeating it is safe."""
        for layer, text in texts.items():
            if self.read(layer) != text:
                self.write(layer, text)

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """What is written inside the block is taken back when the block raises."""
        before = self.snapshot()
        try:
            yield
        except BaseException:
            self.restore(before)
            raise


def contents_of(configuration: str | Mapping[str, Any] | None) -> str | None:
    """The text in the two forms that a base configuration travels in."""
    if isinstance(configuration, Mapping):
        text = configuration.get("config_contents")
        if text is not None and not isinstance(text, str):
            raise InvalidValue(subject="The configuration", problem="config_contents is no text")
        return text
    return configuration


class Configurable(BaseDatastoreManager, abc.ABC):
    """Supports the capability *configuration* for a server with configuration files."""

    @property
    @abc.abstractmethod
    def configuration(self) -> ConfigurationFiles:
        """The server's files."""

    @abc.abstractmethod
    def render(self, values: Mapping[str, Any]) -> str:
        """Settings in the server's own syntax, quoted so that no value can end its line.

        :raises InvalidValue: a name or value that cannot be written down.
        """

    @abc.abstractmethod
    def check_configuration(self) -> None:
        """Let the server's own program read the files.

        :raises InvalidValue: it refuses them, in its own words.
        """

    @abc.abstractmethod
    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        """Give the running server the values that it takes without a restart.

        :returns: the names that wait for one.
        :raises InvalidValue: one was refused; those before it have their old values again.
        """

    def live_values(self, values: Mapping[str, Any]) -> Any:
        """What the running server has where it is given values, for :meth:`return_to_live_values`."""
        return None

    def return_to_live_values(self, kept: Any) -> None:
        """Give the running server back what it had before :meth:`apply_live`; repeating it is safe."""

    def write_base(self, contents: str | None) -> None:
        """Replace the base layer; none: the server's own defaults."""
        self.configuration.write(BASE, contents or "")

    def configuration_step(self, name: str, write: Callable[[], None]) -> Step:
        """A step that writes layers and has the server check them; they are as before when its plan fails."""

        def write_and_check() -> None:
            write()
            self.check_configuration()

        return Step(name, write_and_check, keep=self.configuration.snapshot, undo=self.configuration.restore)

    def tidy(self) -> None:
        super().tidy()
        for layers in (self.configuration, self.last_good, self.replaced):
            files.sweep(layers.directory)

    @property
    def last_good(self) -> ConfigurationFiles:
        """The layers with which the server is known to run: the way back when it does not start with new ones."""
        return self.configuration.beside("last-good")

    def remember_good(self) -> None:
        """Take note that the server runs with the present configuration."""
        for layer in CHANGEABLE:
            text = self.configuration.read(layer)
            # An empty layer is something to go back to, too.
            if not self.last_good.path(layer).exists() or text != self.last_good.read(layer):
                self.last_good.write(layer, text)
        self.remember_replaced(None)

    def return_to_good(self) -> bool:
        """Put the layers back with which the server last ran.

        :returns: whether they were others than the present ones.
        """
        changed = False
        for layer in CHANGEABLE:
            text = self.last_good.read(layer)
            if self.last_good.path(layer).exists() and text != self.configuration.read(layer):
                self.configuration.write(layer, text)
                changed = True
        return changed

    @property
    def replaced(self) -> ConfigurationFiles:
        """The overrides that the last :meth:`update_overrides` replaced, until the server runs with the new ones."""
        return self.configuration.beside("replaced")

    def replaced_overrides(self) -> str | None:
        """Their text; none: the server runs with the present ones, as far as anybody knows."""
        return self.replaced.read(OVERRIDES) if self.replaced.path(OVERRIDES).exists() else None

    def remember_replaced(self, text: str | None) -> None:
        """Keep such a text, or forget it; repeating it is safe."""
        if text is None:
            self.replaced.path(OVERRIDES).unlink(missing_ok=True)
        else:
            self.replaced.write(OVERRIDES, text)

    def take_overrides_back(self) -> None:
        """Put the replaced overrides in the place of those that the running server has refused.

        They are on disk already, and would come into force with its next start.
        """
        if (replaced := self.replaced_overrides()) is not None:
            self.configuration.write(OVERRIDES, replaced)

    def reset_configuration(self, context: RequestContext, configuration: dict[str, Any]) -> None:
        contents = contents_of(configuration)
        write = self.configuration_step("write the base configuration", lambda: self.write_base(contents))
        self.guest.carry_out(Plan("reset the configuration", [write]))

    def update_overrides(self, context: RequestContext, overrides: dict[str, Any], remove: bool = False) -> None:
        # The control plane always sends the whole group, so that what left it is forgotten with or
        # without ``remove``.
        text = self.render(overrides)

        def remember() -> None:
            present = self.configuration.read(OVERRIDES)
            if present != text:  # a request that came twice must not forget what the first one has replaced
                self.remember_replaced(present)

        steps = [
            Step(
                "remember the present overrides",
                remember,
                keep=self.replaced_overrides,
                undo=self.remember_replaced,
            ),
            self.configuration_step("write the overrides", lambda: self.configuration.write(OVERRIDES, text)),
        ]
        self.guest.carry_out(Plan("update the overrides", steps))

    def apply_overrides(self, context: RequestContext, overrides: dict[str, Any]) -> None:
        def apply() -> None:
            if self._applied(overrides):
                self.guest.report(ServiceStatus.RESTART_REQUIRED)

        step = Step(
            "give the server the new values",
            apply,
            keep=lambda: self.live_values(overrides),
            undo=self.return_to_live_values,
        )
        try:
            self.guest.carry_out(Plan("apply the overrides", [step]))
        finally:
            self.remember_replaced(None)

    def _applied(self, overrides: Mapping[str, Any]) -> list[str]:
        try:
            waiting = self.apply_live(overrides)
        except InvalidValue:
            self.take_overrides_back()
            raise
        on_disk = self.configuration.read(OVERRIDES)
        # Where nothing is left on disk, these are the values that the settings have without it.
        if not waiting and (not on_disk or on_disk == self.render(overrides)):
            self.remember_good()
        return waiting
