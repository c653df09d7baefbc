"""The store's refusals as errors of ours: which may be tried again, and what to do about the others."""

import datetime
import email.utils
from typing import Final

from guestagent.contract.errors import StorageError, one_line
from guestagent.storage.base import StoreFull
from guestagent.storage.http import StorageDenied, StorageUnavailable
from guestagent_s3.answers import Complaint

LONGEST_MESSAGE: Final = 300
MOST_SKEW: Final = datetime.timedelta(minutes=5)
"""Amazon's servers bear a quarter of an hour; a clock that is right is not minutes away."""

DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
SKEWED: Final = "RequestTimeTooSkewed"
ELSEWHERE: Final = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"})
PASSING: Final = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "XAmzContentSHA256Mismatch",
    }
)
"""The store has a bad moment, or what arrived is not what was sent."""
FULL: Final = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})
FULL_STATUS: Final = 507
PASSING_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})


class ClockSkewed(StorageDenied):
    """The store takes our requests for old ones, or for some of the future: the guest's clock is wrong."""

    id = "storage.clock"
    sentence = (
        "{subject} was denied: the guest's clock and the store's are {apart} apart, and signatures are only valid "
        "for minutes; set the guest's clock and see that it is kept right (chronyc tracking, timedatectl)."
    )


class NoSuchKey(StorageError):
    """The store's word for :class:`NoSuchObject`; whether that is an error is up to who asks."""

    id = "storage.no-key"


class NoSuchUpload(StorageError):
    """There is no upload of the id: it has been completed or aborted, or begun too long ago."""

    id = "storage.no-upload"


def failure(what: str, status: int, complaint: Complaint, date: str, now: datetime.datetime) -> StorageError:
    """The error that an answer is.

    :param what: the subject of its sentence.
    :param date: the header of the answer, by the store's clock.
    :param now: by ours.
    """
    code = complaint.code
    if code == SKEWED or (status == 403 and not code and _skew(date, now) > MOST_SKEW):
        # Answers to HEAD have no body, and no code.
        return ClockSkewed(subject=what, apart=_skew(date, now) or "too far")
    problem = _problem(status, complaint)
    if code in ELSEWHERE or status in (301, 307):
        where = f" '{one_line(complaint.region, 40)}'" if complaint.region else ""
        problem = f"the store serves another region{where} or bucket than [s3] names: {problem}"
        return StorageError(subject=what, problem=problem)
    if code in FULL or (status == FULL_STATUS and not code):
        return StoreFull(subject=what, problem=problem)
    if code in PASSING or (status in PASSING_STATUS and code not in DENIED):
        return StorageUnavailable(subject=what, problem=problem)
    if code in DENIED or status in (401, 403):
        return StorageDenied(subject=what, problem=problem)
    if code == "NoSuchUpload":
        return NoSuchUpload(subject=what, problem=problem)
    if status == 404 and code in ("", "NoSuchKey"):
        return NoSuchKey(subject=what, problem=problem)
    return StorageError(subject=what, problem=problem)


def _problem(status: int, complaint: Complaint) -> str:
    if not complaint.code:
        return f"the store answers with status {status}"
    message = one_line(complaint.message, LONGEST_MESSAGE).rstrip(".")
    return f"{message} ({one_line(complaint.code, 60)})" if message else one_line(complaint.code, 60)


def _skew(date: str, now: datetime.datetime) -> datetime.timedelta:
    try:
        theirs = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return datetime.timedelta()
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=datetime.UTC)
    apart = abs(theirs - now)
    return apart - datetime.timedelta(microseconds=apart.microseconds)
