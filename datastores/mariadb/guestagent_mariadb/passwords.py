"""The digest that the server keeps of a password.

The agent sends the server digests only. MariaDB writes a password that is in a statement as it is to
its general log, its slow query log and its binary log; a digest is harmless there.
"""

import hashlib


def digest(password: str | None, subject: str) -> str:
    """What ``mysql_native_password`` keeps of a password.

    :param subject: whose password, for the error's sentence.
    :raises InvalidValue: there is none, or no client could send it.
    """
    from guestagent.system.passwords import encoded

    # The server's own scheme, and behind TLS or a scramble on the wire; SHA-1 is not our choice.
    once = hashlib.sha1(encoded(password, subject), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()
