"""A guest for small managers: real options, record, storage and process control; reports are written down."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.contract.states import ServiceStatus
from guestagent.guest import Guest
from guestagent.operations.instance import InstanceRecord
from guestagent.operations.store import Store
from guestagent.storage.local import LocalStorage
from guestagent.system.plain import PlainControl

GUEST_ID = "6c6f6e67-0000-4000-8000-000000000001"

MakeGuest = Callable[..., Guest]


@pytest.fixture
def conf(tmp_path: Path) -> cfg.ConfigOpts:
    """The runtime's options with their defaults, everything below the test's own directory."""
    made = cfg.ConfigOpts()
    options.register(made)
    made([], default_config_files=[], default_config_dirs=[])
    for name in ("state_dir", "run_dir", "storage_dir"):
        made.set_override(name, str(tmp_path / name), group="agent")
    return made


@pytest.fixture
def reported() -> list[ServiceStatus]:
    """What the conductor has heard."""
    return []


@pytest.fixture
def make_guest(conf: cfg.ConfigOpts, reported: list[ServiceStatus]) -> Iterator[MakeGuest]:
    """The same guest, as an agent that has just started finds it; arguments replace its parts."""
    stores: list[Store] = []
    state_dir = Path(conf.agent.state_dir)

    def make(**parts: Any) -> Guest:
        state_dir.mkdir(mode=0o700, exist_ok=True)
        stores.append(Store(state_dir))
        guest = Guest(
            id=GUEST_ID,
            datastore="testdb",
            conf=conf,
            state_dir=state_dir,
            record=InstanceRecord(stores[-1]),
            processes=PlainControl(Path(conf.agent.run_dir)),
            storage={"local": LocalStorage(conf)},
            report=reported.append,
        )
        return msgspec.structs.replace(guest, **parts)

    yield make
    for store in stores:
        store.close()
