"""Passwords that somebody asks us to make."""


def generated() -> str:
    """A new password of 32 letters, digits, dashes and underscores, 192 bits of chance."""
    # Its modules are loaded where a password is made, which most starts of an agent never do.
    import secrets

    return secrets.token_urlsafe(24)
