"""A store for each test."""

from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent import conf as options
from tests.unit.backup.streams import Shaky


@pytest.fixture
def conf(tmp_path: Path) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    options.register(made)
    made([], default_config_files=[], default_config_dirs=[])
    made.set_override("storage_dir", str(tmp_path / "store"), group="agent")
    return made


@pytest.fixture
def storage(conf: cfg.ConfigOpts) -> Shaky:
    return Shaky(conf)


@pytest.fixture
def promptly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between tries that nobody has to wait for."""
    monkeypatch.setattr("guestagent.backup.patience.FIRST_PAUSE", 0.001)
