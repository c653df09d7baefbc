"""What is said on the wire: every call, its arguments, its errors, and the states.

The contract is the allow-list: what is not declared here cannot be called. It imports nothing else
of the project.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from guestagent.contract.agent import Agent
from guestagent.contract.backups import Backups
from guestagent.contract.call import Call, Capability, declared_by
from guestagent.contract.configuration import Configuration
from guestagent.contract.databases import Databases
from guestagent.contract.lifecycle import Lifecycle
from guestagent.contract.logs import Logs
from guestagent.contract.modules import Modules
from guestagent.contract.operations import Operations
from guestagent.contract.replication import Replication
from guestagent.contract.root import Root
from guestagent.contract.tls import Tls
from guestagent.contract.upgrades import Upgrades
from guestagent.contract.users import Users
from guestagent.contract.volumes import Volumes

__all__ = [
    "ALLOWED",
    "CALLS",
    "CAPABILITIES",
    "Agent",
    "Backups",
    "Call",
    "Capability",
    "Configuration",
    "Databases",
    "Lifecycle",
    "Logs",
    "Modules",
    "Operations",
    "Replication",
    "Root",
    "Tls",
    "Upgrades",
    "Users",
    "Volumes",
]

CAPABILITIES: Final[tuple[type[Capability], ...]] = (
    Agent,
    Operations,
    Lifecycle,
    Databases,
    Users,
    Root,
    Configuration,
    Volumes,
    Backups,
    Replication,
    Logs,
    Modules,
    Tls,
    Upgrades,
)

CALLS: Final[tuple[Call, ...]] = tuple(
    declaration for capability in CAPABILITIES for declaration in declared_by(capability)
)

ALLOWED: Final[Mapping[tuple[str, str], Call]] = MappingProxyType(
    {(namespace, declaration.name): declaration for declaration in CALLS for namespace in declaration.namespaces}
)
"""The allow-list: (namespace, name) to declaration."""
