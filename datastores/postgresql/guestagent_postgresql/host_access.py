"""Who may log in, from where and how: the server's ``pg_hba.conf`` and ``pg_ident.conf``."""

import os
import pwd

from guestagent.capabilities.tls import BASIC, ENFORCED, MTLS
from guestagent_postgresql.connection import SUPERUSER

MAP = "guestagent"
"""The name of the map from the guest's accounts to the roles that they may be without a password."""

_ENFORCED = "hostnossl all all all reject"
_LOGINS = {
    None: "host all all all scram-sha-256",
    BASIC: "host all all all scram-sha-256",
    ENFORCED: "hostssl all all all scram-sha-256",
    MTLS: "hostssl all all all scram-sha-256 clientcert=verify-ca",
}


def rules(administrator: str, mode: str | None) -> str:
    """The rules, of which the first that fits a login decides.

    :param administrator: the agent's role, which exists on the guest only.
    :param mode: what clients must show; none: TLS is not managed.
    """
    logins = _LOGINS[mode]
    # In quotes no name is a keyword of this file.
    agent, superuser = f'"{administrator}"', f'"{SUPERUSER}"'
    return "\n".join(
        [
            "# Written by the guest agent.",
            f"local all {agent} peer map={MAP}",
            f"local all {superuser} peer map={MAP}",
            f"local replication {agent} peer map={MAP}",
            "local all all scram-sha-256",
            f"host all {agent} all reject",
            *([_ENFORCED] if logins.startswith("hostssl") else []),
            logins,
            "",
        ]
    )


def mode_of(text: str) -> str:
    """The TLS mode that rules were written for, if TLS was on."""
    if _LOGINS[MTLS] in text:
        return MTLS
    return ENFORCED if _ENFORCED in text else BASIC


def accounts(administrator: str, account: str | None) -> str:
    """The map: the system's root, the agent and the server's account may be the agent's role and the superuser.

    :param account: the server's; none: the agent's own.
    """
    names = dict.fromkeys(["root", pwd.getpwuid(os.geteuid()).pw_name, *([account] if account else [])])
    lines = [f"{MAP} {name} {role}" for name in names for role in (administrator, SUPERUSER)]
    return "\n".join(["# Written by the guest agent.", *lines, ""])
