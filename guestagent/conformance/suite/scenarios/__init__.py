"""The operations in which agents are killed: how each is asked for, and from which state on.

What an operation comes to is nowhere said: it is what it comes to when nobody dies.
"""

from guestagent.conformance.suite.scenarios.backups import ARCHIVES, BACKUPS, SNAPSHOTS
from guestagent.conformance.suite.scenarios.configuration import CONFIGURATION
from guestagent.conformance.suite.scenarios.databases import DATABASES
from guestagent.conformance.suite.scenarios.lifecycle import LIFECYCLE
from guestagent.conformance.suite.scenarios.logs import LOGS
from guestagent.conformance.suite.scenarios.modules import MODULES
from guestagent.conformance.suite.scenarios.tls import TLS
from guestagent.conformance.suite.scenarios.users import USERS

ON_A_PREPARED_GUEST = [
    *DATABASES,
    *USERS,
    *CONFIGURATION,
    *LIFECYCLE,
    *TLS,
    *LOGS,
    *MODULES,
    *SNAPSHOTS,
    *BACKUPS,
    *ARCHIVES,
]
"""What can be asked of an instance that is ready, one after another."""
