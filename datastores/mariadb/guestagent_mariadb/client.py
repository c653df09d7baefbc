"""PyMySQL without ``cryptography``, which it imports wherever it finds it.

It needs that for two ways of logging in that the agent's own user does not have, and it costs 9 MiB. To
be imported where a connection is first needed, which is before anything else here imports
``cryptography``: the calls about TLS ask the server first.
"""

import sys

KEPT_OUT = "cryptography"

_absent = sys.modules.setdefault(KEPT_OUT, None) is None  # type: ignore[arg-type]
try:
    from pymysql import connect
    from pymysql.connections import Connection
    from pymysql.err import Error
finally:
    if _absent:
        del sys.modules[KEPT_OUT]

__all__ = ["Connection", "Error", "connect"]
