"""Sending an object: at once if one piece is all of it, in parts otherwise; whole or not at all."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from oslo_log import log

from guestagent.contract.errors import StorageError
from guestagent.storage.http import StorageUnavailable
from guestagent.system import waiting
from guestagent_s3 import answers
from guestagent_s3.bucket import MD5, Answer, Bucket, bare
from guestagent_s3.errors import NoSuchKey, NoSuchUpload
from guestagent_s3.pieces import Gathering, Piece, piece

LOG = log.getLogger(__name__)
MOST_PARTS: Final = 10_000
"""Of one object; S3's own limit."""


def send(
    bucket: Bucket, what: str, key: str, chunks: Iterable[bytes], headers: Mapping[str, str], part_size: int
) -> tuple[int, str]:
    """Send an object.

    :param headers: that the store keeps with the object.
    :param part_size: in bytes.
    :returns: its size, and what the store knows it by.
    """
    gathering = Gathering(chunks, part_size)
    if (only := gathering.only()) is None:
        return _Upload(bucket, what, key, headers).send(gathering)
    answer = bucket.ask(what, "PUT", key, headers=headers, body=only)
    _verify(what, answer, only)
    return only.size, answer.etag


class _Upload:
    """An object that is sent in parts."""

    def __init__(self, bucket: Bucket, what: str, key: str, headers: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._what = what
        self._key = key
        begun = bucket.ask(what, "POST", key, {"uploads": ""}, headers)
        self._id = answers.upload_id(what, begun.content)
        self._etags: list[str] = []
        self._md5s = hashlib.md5(usedforsecurity=False)
        self._md5_known = True

    def send(self, gathering: Gathering) -> tuple[int, str]:
        try:
            size = 0
            while not gathering.over:
                size += self._part(gathering.take())
            return size, self._complete()
        except BaseException:
            with waiting.shielded():
                self._abort()
            raise

    def _part(self, body: Piece) -> int:
        if len(self._etags) == MOST_PARTS:
            problem = f"the object has more than {MOST_PARTS} parts; raise [s3] part_size"
            raise StorageError(subject=self._what, problem=problem)
        query = {"partNumber": str(len(self._etags) + 1), "uploadId": self._id}
        answer = self._bucket.ask(self._what, "PUT", self._key, query, body=body)
        _verify(self._what, answer, body)
        self._md5_known = self._md5_known and answer.etag_is_md5
        self._etags.append(answer.etag)
        self._md5s.update(body.md5)
        return body.size

    def _complete(self) -> str:
        """Make the parts the object.

        :returns: its ETag.
        """
        expected = f"{self._md5s.hexdigest()}-{len(self._etags)}"
        body = piece(answers.completion(self._etags))
        try:
            answer = self._bucket.ask(self._what, "POST", self._key, {"uploadId": self._id}, body=body)
        except NoSuchUpload:
            # An answer that was lost on the way: it may be complete already.
            if self._kept_etag() != expected:
                raise
            return expected
        etag = bare(answers.completed_etag(self._what, answer.content))
        if self._md5_known and MD5.fullmatch(etag) and etag != expected:
            raise StorageUnavailable(subject=self._what, problem="the store has joined other parts than were sent")
        return etag

    def _kept_etag(self) -> str | None:
        try:
            return self._bucket.ask(self._what, "HEAD", self._key).etag
        except NoSuchKey:
            return None

    def _abort(self) -> None:
        try:
            # Nothing ends these attempts early, so they are few.
            self._bucket.ask(self._what, "DELETE", self._key, {"uploadId": self._id}, attempts=2)
        except (NoSuchUpload, NoSuchKey):
            return  # it was completed, or somebody else aborted it
        except StorageError as error:
            # Why it is aborted is more than that it could not be.
            LOG.warning("Parts of %s stay in the bucket until its lifecycle rule removes them: %s", self._key, error)


def _verify(what: str, answer: Answer, body: Piece) -> None:
    """See that the store has what was sent, as far as it says what it has."""
    if not answer.etag:
        # So does who only stands between us and the store.
        raise StorageUnavailable(subject=what, problem="the answer does not say what the store has kept")
    if answer.etag_is_md5 and answer.etag != body.md5.hex():
        raise StorageUnavailable(subject=what, problem="the store has kept something else than was sent")
