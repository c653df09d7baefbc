"""The capability document: what this guest can do, computed from what its manager overrides."""

from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any

from guestagent import contract
from guestagent.contract.call import VERSIONS, Call, declared_by
from guestagent.guest import Guest

PLUGIN_API = (1, 0)
"""The version of the interface between runtime and plugins; a plugin's packaging says which it needs."""
FORMAT = 1
"""Grows when something leaves the document or changes its meaning, not when something is added."""


Supports = Callable[[Call], bool]
"""Whether a manager implements a call."""


def describe(guest: Guest, plugin: type, supports: Supports) -> dict[str, Any]:
    """The document, in types that JSON has.

    :param plugin: the manager's class.

    - ``format``: :data:`FORMAT`; ``guest_id``
    - ``runtime``: ``name``, ``version``, ``plugin_api``
    - ``contract``: a list of ``{"namespace", "version"}``, the newest that the agent speaks
    - ``datastore`` and ``strategies``: see :class:`guestagent.plugins.loader.Loaded`
    - ``capabilities``: name to whether all calls that it requires are implemented
    - ``calls``: a list of ``{"name", "namespaces", "capability", "since", "cast", "reads", "repeatable",
      "supported", "summary"}`` in the contract's order
    """
    return {
        "format": FORMAT,
        "guest_id": guest.id,
        "runtime": {
            "name": "guestagent",
            "version": metadata.version("guestagent"),
            "plugin_api": _dotted(PLUGIN_API),
        },
        "contract": [{"namespace": namespace, "version": _dotted(newest)} for namespace, newest in VERSIONS.items()],
        "datastore": {
            "name": guest.datastore,
            "class": f"{plugin.__module__}:{plugin.__qualname__}",
            **guest.description.get("datastore", {}),
        },
        "strategies": guest.description.get("strategies", {}),
        "capabilities": {
            capability.__name__.lower(): _has(capability, supports) for capability in contract.CAPABILITIES
        },
        "calls": [_call(declared, supports) for declared in contract.CALLS],
    }


def _has(capability: type[contract.Capability], supports: Supports) -> bool:
    required = [declared for declared in declared_by(capability) if declared.required]
    return all(map(supports, required))


def _call(declared: Call, supports: Supports) -> dict[str, Any]:
    return {
        "name": declared.name,
        "namespaces": list(declared.namespaces),
        "capability": declared.capability,
        "since": declared.since,
        "cast": declared.cast,
        "reads": declared.reads,
        "repeatable": declared.repeatable,
        "supported": supports(declared),
        "summary": declared.documentation.partition("\n")[0],
    }


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
