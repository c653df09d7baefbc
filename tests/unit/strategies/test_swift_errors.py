"""What Swift's refusals become: who may try again, who needs a token, who needs room."""

import pytest
from guestagent_swift.errors import TokenRefused, refusal, refused

from guestagent.backup.patience import Patience
from guestagent.contract.errors import GuestAgentError, StorageError
from guestagent.storage.base import StoreFull
from guestagent.storage.http import StorageDenied, StorageUnavailable


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_success_is_no_refusal(status: int) -> None:
    assert not refused(status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, TokenRefused),
        (403, TokenRefused),
        (413, StoreFull),
        (507, StoreFull),
        (408, StorageUnavailable),
        (422, StorageUnavailable),
        (429, StorageUnavailable),
        (498, StorageUnavailable),
        (500, StorageUnavailable),
        (503, StorageUnavailable),
        (301, StorageError),
        (400, StorageError),
        (404, StorageError),
        (409, StorageError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[GuestAgentError]) -> None:
    assert refused(status)
    assert type(refusal("Writing a/b", status)) is kind


def test_a_refusal_says_what_was_tried_and_where_to_look() -> None:
    assert str(refusal("Writing a/b", 503, "busy", "tx1")) == (
        "Writing a/b failed: it answers 503 Service Unavailable, transaction tx1: busy; try again."
    )
    assert str(refusal("Writing a/b", 498)) == "Writing a/b failed: it answers 498 (no status of HTTP); try again."


def test_what_the_store_says_is_cut() -> None:
    assert len(str(refusal("Writing a/b", 400, "x" * 10_000))) < 400


@pytest.mark.parametrize(("kind", "parent"), [(TokenRefused, StorageDenied), (StoreFull, StorageError)])
def test_the_runtime_knows_the_kind_of_each_error(kind: type[GuestAgentError], parent: type[GuestAgentError]) -> None:
    assert issubclass(kind, parent)
    assert not issubclass(kind, StorageUnavailable)


def test_a_token_that_is_refused_is_not_tried_again() -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise refusal("Writing a/b", 401)

    with pytest.raises(TokenRefused):
        Patience(retries=3, seconds=60).try_to(work)
    assert len(tries) == 1
