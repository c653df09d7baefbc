"""Refusals of the store, and what they are to us."""

import datetime
import email.utils

import pytest
from guestagent_s3 import errors
from guestagent_s3.answers import Complaint
from guestagent_s3.errors import ClockSkewed, NoSuchKey, NoSuchUpload, failure

from guestagent.contract.errors import GuestAgentError, StorageError
from guestagent.storage.base import StoreFull
from guestagent.storage.http import StorageDenied, StorageUnavailable

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)


def refused(status: int, code: str = "", message: str = "Why.", region: str = "", minutes: int = 0) -> StorageError:
    """The error for an answer of a store whose clock is so many minutes away."""
    date = email.utils.format_datetime(NOW + datetime.timedelta(minutes=minutes), usegmt=True)
    return failure("Asking", status, Complaint(code, message, region), date, NOW)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", StorageDenied),
        (403, "SignatureDoesNotMatch", StorageDenied),
        (403, "InvalidAccessKeyId", StorageDenied),
        (400, "ExpiredToken", StorageDenied),
        (400, "InvalidToken", StorageDenied),
        (403, "SomethingNew", StorageDenied),
        (401, "", StorageDenied),
        (403, "", StorageDenied),
        (503, "AccessDenied", StorageDenied),
        (403, "RequestTimeTooSkewed", ClockSkewed),
        (503, "SlowDown", StorageUnavailable),
        (503, "", StorageUnavailable),
        (500, "InternalError", StorageUnavailable),
        (200, "InternalError", StorageUnavailable),
        (502, "", StorageUnavailable),
        (504, "", StorageUnavailable),
        (429, "", StorageUnavailable),
        (408, "", StorageUnavailable),
        (400, "RequestTimeout", StorageUnavailable),
        (400, "BadDigest", StorageUnavailable),
        (400, "XAmzContentSHA256Mismatch", StorageUnavailable),
        (404, "NoSuchKey", NoSuchKey),
        (404, "", NoSuchKey),
        (404, "NoSuchUpload", NoSuchUpload),
        (404, "NoSuchBucket", StorageError),
        (400, "InvalidArgument", StorageError),
        (501, "NotImplemented", StorageError),
        (507, "", StoreFull),
        (507, "XMinioStorageFull", StoreFull),
        (403, "QuotaExceeded", StoreFull),
        (301, "PermanentRedirect", StorageError),
        (400, "AuthorizationHeaderMalformed", StorageError),
    ],
)
def test_a_refusal_is_of_one_kind(status: int, code: str, kind: type[StorageError]) -> None:
    assert type(refused(status, code)) is kind


def test_the_stores_own_words_are_in_the_sentence() -> None:
    assert str(refused(403, "AccessDenied")) == (
        "Asking was denied: Why (AccessDenied); check the credentials of the store and what they may do."
    )
    assert str(refused(503)) == "Asking failed: the store answers with status 503; try again."


def test_the_stores_words_are_one_line_of_some_length() -> None:
    sentence = str(refused(500, "Internal\nError", "x\n\x1b[31m" + "y" * 10_000))

    assert sentence.isprintable()
    assert len(sentence) < 500


@pytest.mark.parametrize("minutes", [-60, 60])
def test_an_answer_without_words_shows_a_wrong_clock_by_its_date(minutes: int) -> None:
    error = refused(403, minutes=minutes)

    assert type(error) is ClockSkewed
    assert "1:00:00 apart" in str(error)


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 26 Nov 2026 12:00:00 -0000"])
def test_a_date_that_is_none_shows_nothing(date: str) -> None:
    assert type(failure("Asking", 403, Complaint(), date, NOW)) is StorageDenied
    assert type(failure("Asking", 403, Complaint("RequestTimeTooSkewed"), date, NOW)) is ClockSkewed


def test_a_clock_that_is_a_little_wrong_is_not_why() -> None:
    assert type(refused(403, minutes=2)) is StorageDenied


def test_another_region_is_named() -> None:
    sentence = str(refused(400, "AuthorizationHeaderMalformed", region="eu-west-1"))

    assert "another region 'eu-west-1'" in sentence


def test_errors_have_ids_and_sentences() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GuestAgentError)]

    assert len({kind.id for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert str(kind(subject="Asking", problem="why", apart="1:00:00")).endswith(".")
