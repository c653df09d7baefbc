"""What the operators' page lists is what the code has."""

from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent.conf import agent, backup, image, instance
from guestagent.plugins.errors import PluginError

PAGE = (Path(__file__).parents[3] / "docs" / "operators.md").read_text()


@pytest.mark.parametrize("error", PluginError.__subclasses__(), ids=lambda error: error.__name__)
def test_every_exit_code_is_listed(error: type[PluginError]) -> None:
    assert f"\n| {error.exit_code} | `{error.id}` | " in PAGE


@pytest.mark.parametrize(
    ("group", "options"),
    [
        ("agent", agent.OPTIONS),
        ("backup", backup.OPTIONS),
        ("image", image.OPTIONS),
        ("DEFAULT", instance.OPTIONS),
    ],
)
def test_no_option_is_named_that_does_not_exist(group: str, options: list[cfg.Opt]) -> None:
    libraries = {"transport_url", "control_exchange", "log_file", "debug"} if group == "DEFAULT" else set()
    named = {line.split("`")[1] for line in PAGE.splitlines() if f"`[{group}] " in line}
    found = {name.partition("] ")[2] for name in named if name.startswith(f"[{group}] ")}
    assert found <= {option.name for option in options} | libraries
