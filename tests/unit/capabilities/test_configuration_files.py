"""Configuration as layers: a change is whole, or it never was."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from guestagent.capabilities.configuration import (
    AGENT,
    BASE,
    LAYERS,
    OVERRIDES,
    Configurable,
    ConfigurationFiles,
    contents_of,
)
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.contract.states import ServiceStatus
from guestagent.guest import Guest
from tests.unit.capabilities.conftest import MakeGuest

CONTEXT = RequestContext()


class Configured(Configurable):
    """A server that refuses some settings when it reads its files, and takes only ``live`` ones while it runs."""

    def __init__(self, guest: Guest, directory: Path) -> None:
        super().__init__(guest)
        self.files = ConfigurationFiles(directory, ".cnf")
        self.running: dict[str, Any] = {}

    @property
    def configuration(self) -> ConfigurationFiles:
        return self.files

    def render(self, values: Mapping[str, Any]) -> str:
        for name in values:
            if "\n" in name:
                raise InvalidValue(subject=f"Setting {name!r}", problem="a line end")
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    def check_configuration(self) -> None:
        for layer in LAYERS:
            if "nonsense" in self.files.read(layer):
                raise InvalidValue(subject="The configuration", problem="unknown variable 'nonsense'")

    def apply_live(self, values: Mapping[str, Any]) -> list[str]:
        if "refused" in values:
            raise InvalidValue(subject="refused", problem="out of range")
        self.running.update({name: value for name, value in values.items() if name.startswith("live")})
        return [name for name in values if not name.startswith("live")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "conf.d"


@pytest.fixture
def manager(make_guest: MakeGuest, directory: Path) -> Configured:
    return Configured(make_guest(), directory)


def texts(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_layers_are_read_in_the_order_of_their_strength(manager: Configured, directory: Path) -> None:
    for layer in (AGENT, BASE, OVERRIDES):
        manager.files.write(layer, f"# {layer}\n")
    assert list(texts(directory)) == ["0-base.cnf", "1-overrides.cnf", "2-agent.cnf"]
    assert [manager.files.path(layer).name for layer in LAYERS] == list(texts(directory))


def test_a_layer_that_was_never_written_is_empty(manager: Configured, directory: Path) -> None:
    assert manager.files.read(BASE) == ""
    assert not directory.exists()


def test_files_may_hold_secrets_and_are_for_their_reader(manager: Configured, directory: Path) -> None:
    manager.files.write(AGENT, "password = x\n")
    assert stat.S_IMODE((directory / "2-agent.cnf").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o750


def test_text_of_any_alphabet_comes_back(manager: Configured) -> None:
    manager.files.write(BASE, "init_connect = 'Grüße 数据库'\n")
    assert manager.files.read(BASE) == "init_connect = 'Grüße 数据库'\n"


def test_a_change_that_raises_takes_everything_back(manager: Configured, directory: Path) -> None:
    manager.files.write(BASE, "a = 1\n")
    manager.files.write(OVERRIDES, "b = 2\n")

    def change() -> None:
        with manager.files.change():
            manager.files.write(BASE, "a = 3\n")
            manager.files.write(OVERRIDES, "b = 4\n")
            raise RuntimeError("half way")

    before = texts(directory)
    with pytest.raises(RuntimeError, match="half way"):
        change()
    assert texts(directory) == before


@pytest.mark.parametrize(
    ("given", "text"), [(None, None), ("a = 1", "a = 1"), ({"config_contents": "a = 1"}, "a = 1"), ({}, None)]
)
def test_a_base_configuration_travels_in_two_forms(given: Any, text: str | None) -> None:
    assert contents_of(given) == text


@pytest.mark.parametrize("contents", [7, ["a = 1"], {"a": 1}, b"a = 1"])
def test_a_base_configuration_is_text(contents: object) -> None:
    with pytest.raises(InvalidValue, match="config_contents is no text"):
        contents_of({"config_contents": contents})


def test_resetting_replaces_the_base_and_keeps_the_overrides(manager: Configured) -> None:
    manager.update_overrides(CONTEXT, {"b": 2})
    manager.reset_configuration(CONTEXT, {"config_contents": "a = 1\n"})
    assert manager.files.read(BASE) == "a = 1\n"
    assert manager.files.read(OVERRIDES) == "b = 2\n"


def test_overrides_replace_those_before_with_or_without_remove(manager: Configured) -> None:
    manager.update_overrides(CONTEXT, {"a": 1, "b": 2})
    manager.update_overrides(CONTEXT, {"b": 3})
    assert manager.files.read(OVERRIDES) == "b = 3\n"
    manager.update_overrides(CONTEXT, {}, remove=True)
    assert manager.files.read(OVERRIDES) == ""


@pytest.mark.parametrize("overrides", [{"nonsense": 1}, {"a": 1, "nonsense": 2}, {"a\nb": 1}])
def test_refused_overrides_leave_the_files_as_they_were(
    manager: Configured, directory: Path, overrides: dict[str, Any]
) -> None:
    manager.update_overrides(CONTEXT, {"a": 1})
    before = texts(directory)
    with pytest.raises(InvalidValue):
        manager.update_overrides(CONTEXT, overrides)
    assert texts(directory) == before


def test_a_refused_base_leaves_the_files_as_they_were(manager: Configured, directory: Path) -> None:
    manager.reset_configuration(CONTEXT, {"config_contents": "a = 1\n"})
    before = texts(directory)
    with pytest.raises(InvalidValue, match="nonsense"):
        manager.reset_configuration(CONTEXT, {"config_contents": "nonsense = 1\n"})
    assert texts(directory) == before


def test_what_the_server_takes_live_needs_no_restart(manager: Configured, reported: list[ServiceStatus]) -> None:
    manager.apply_overrides(CONTEXT, {"live_a": 1})
    assert manager.running == {"live_a": 1}
    assert reported == []


def test_what_waits_for_a_restart_is_reported(manager: Configured, reported: list[ServiceStatus]) -> None:
    manager.apply_overrides(CONTEXT, {"live_a": 1, "static": 2})
    assert manager.running == {"live_a": 1}
    assert reported == [ServiceStatus.RESTART_REQUIRED]


def test_values_that_are_refused_live_report_nothing(manager: Configured, reported: list[ServiceStatus]) -> None:
    with pytest.raises(InvalidValue, match="out of range"):
        manager.apply_overrides(CONTEXT, {"refused": 1, "static": 2})
    assert reported == []


def test_the_layers_that_a_server_ran_with_are_the_way_back(manager: Configured) -> None:
    manager.update_overrides(CONTEXT, {"live_a": 1})
    manager.apply_overrides(CONTEXT, {"live_a": 1})
    assert not manager.return_to_good()
    manager.update_overrides(CONTEXT, {"live_a": 2})
    assert manager.return_to_good()
    assert manager.files.read(OVERRIDES) == "live_a = 1\n"
    manager.update_overrides(CONTEXT, {"live_a": 2, "static": 1})
    manager.apply_overrides(CONTEXT, {"live_a": 2, "static": 1})
    assert manager.return_to_good()


def test_without_overrides_the_server_runs_with_what_is_on_disk(manager: Configured) -> None:
    manager.update_overrides(CONTEXT, {}, remove=True)
    manager.apply_overrides(CONTEXT, {"live_a": 0})
    manager.update_overrides(CONTEXT, {"live_a": 2})
    assert manager.return_to_good()
    assert manager.files.read(OVERRIDES) == ""
