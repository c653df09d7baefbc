"""What the server keeps of a password.

The agent sends the server nothing else: what is in a statement may end in its log.
"""

import base64
import hashlib
import os

ITERATIONS = 4096
SALT_BYTES = 16
"""Both as in the server's own verifiers."""


def verifier(password: str | None, subject: str) -> str:
    """The SCRAM-SHA-256 verifier of a password (RFC 5803, in the server's spelling), with a salt of its own.

    :param subject: whose password, for the error's sentence.
    :raises InvalidValue: there is none, or no client could send it.
    """
    import hmac

    from guestagent.system import passwords

    text = _prepared(passwords.encoded(password, subject).decode()).encode()
    salt = os.urandom(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", text, salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    spelled = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${ITERATIONS}:{spelled[0]}${spelled[1]}:{spelled[2]}"


def _prepared(password: str) -> str:
    """As clients prepare it: by SASLprep (RFC 4013), and not at all where that forbids a character of it."""
    from scramp.core import ScramException
    from scramp.utils import saslprep

    try:
        return str(saslprep(password)) or password
    except ScramException:
        return password
