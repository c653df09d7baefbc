"""Passwords of a database's users: those that we are asked to make, and what we take from others."""

from guestagent.contract.errors import InvalidValue


def generated() -> str:
    """A new password of 32 letters, digits, dashes and underscores, 192 bits of chance."""
    # Its modules are loaded where a password is made, which most starts of an agent never do.
    import secrets

    return secrets.token_urlsafe(24)


def encoded(password: str | None, subject: str) -> bytes:
    """The bytes of a password, as clients send them.

    :param subject: whose password, for the error's sentence.
    :raises InvalidValue: there is none, or no client could send it.
    """
    if not password:
        raise InvalidValue(subject=f"The password of {subject}", problem="it is missing or empty")
    if "\0" in password:
        raise InvalidValue(subject=f"The password of {subject}", problem="it has a NUL character")
    try:
        return password.encode()
    except UnicodeEncodeError:
        raise InvalidValue(subject=f"The password of {subject}", problem="it is no valid Unicode text") from None
