"""An agent that is not root manages a server of its own account."""

import os
from pathlib import Path

import pytest

from guestagent.contract.states import ServiceStatus
from tests.functional.redis.machine import Machine, prepare
from tests.support.machine import CONTEXT, PASSWORD, user
from tests.support.unprivileged import live_as_nobody


def _live(directory: Path) -> None:
    guest = Machine(directory)
    try:
        manager = guest.manager()
        prepare(manager, users=[user("owner")])
        assert guest.reports[-1] is ServiceStatus.HEALTHY
        manager.update_overrides(CONTEXT, {"maxclients": 55, "appendonly": True})
        manager.restart(CONTEXT)
        assert guest.ask("owner", PASSWORD, "CONFIG", "GET", "maxclients") == ["maxclients", "55"]
        manager.guest_log_action(CONTEXT, "server", publish=1)
        manager.upgrade(CONTEXT, {})
        assert manager.service_status() is ServiceStatus.HEALTHY
    finally:
        guest.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else; every other test is this one then")
def test_an_agent_without_root_does_all_but_volumes() -> None:
    live_as_nobody(_live)
