"""What Swift's refusals mean to those who asked."""

import http

from guestagent.contract.errors import GuestAgentError, StorageError
from guestagent.storage.base import StoreFull
from guestagent.storage.http import StorageDenied, StorageUnavailable

TOKEN = frozenset({401, 403})
FULL = frozenset({413, 507})
PASSING = frozenset({408, 422, 429, 498, 499})
"""Too slow, damaged on the way, and twice too often, the second in Swift's own number; and a connection that
Swift saw end."""
SAID = 200
"""Characters of what the store says about a refusal."""


class TokenRefused(StorageDenied):
    """Swift does not take the request's token, as when it has expired: trying again with the same is useless."""

    id = "storage.token"
    sentence = (
        "{subject} failed: the object store refuses the request's token ({problem}); ask again with a fresh token of "
        "somebody who may write to the project's account."
    )


def refused(status: int) -> bool:
    """Whether a status is none of success."""
    return not http.HTTPStatus.OK <= status < http.HTTPStatus.MULTIPLE_CHOICES


def refusal(what: str, status: int, said: str = "", transaction: str = "") -> GuestAgentError:
    """The error behind a status.

    :param what: was tried.
    :param said: by the store about it.
    :param transaction: under which its own log has more.
    """
    problem = f"it answers {status} {_phrase(status)}"
    problem += f", transaction {transaction}" if transaction else ""
    problem += f": {said[:SAID]}" if said else ""
    if status in TOKEN:
        return TokenRefused(subject=what, problem=problem)
    if status in FULL:
        return StoreFull(subject=what, problem=problem)
    kind = StorageUnavailable if status in PASSING or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else StorageError
    return kind(subject=what, problem=problem)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "(no status of HTTP)"
