"""The services beside which Trove runs, as far as it asks them about an instance that is there and runs.

Trove is told by its own options (``remote_nova_client`` and the like) to use these in their places.
"""

import types
from typing import Any


def compute(context: Any, region_name: str | None = None) -> Any:
    """Where every machine runs."""
    return types.SimpleNamespace(
        servers=types.SimpleNamespace(get=_machine), server_groups=types.SimpleNamespace(list=list)
    )


def network(context: Any, region_name: str | None = None) -> Any:
    """Where no machine has a port of the user's."""
    return types.SimpleNamespace(list_ports=lambda **asked: {"ports": []})


def object_store(context: Any, region_name: str | None = None) -> Any:
    """Where everybody may log in."""
    return types.SimpleNamespace(get_account=lambda: ({}, []))


def _machine(server_id: str) -> Any:
    return types.SimpleNamespace(
        id=server_id, name="a machine", status="ACTIVE", tenant_id="tenant-a", addresses={}, host="a host"
    )
