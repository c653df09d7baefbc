"""One bucket: requests are signed, sent, tried again where that helps, and answered in errors of ours."""

import contextlib
import datetime
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from guestagent.contract.errors import InvalidValue, StorageError
from guestagent.storage.http import HttpClient, Response, StorageUnavailable
from guestagent.system import waiting
from guestagent_s3 import answers, credentials, signature
from guestagent_s3.errors import failure
from guestagent_s3.pieces import Piece

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
MD5: Final = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
"""An ETag that is the content's MD5, or that of the MD5s of so many parts."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 15.0

Done = TypeVar("Done")


class Answer(msgspec.Struct, frozen=True):
    """What the store says, all of it."""

    response: Response
    content: bytes

    @property
    def etag(self) -> str:
        """What the store knows the object by."""
        return bare(self.response.header("ETag"))

    @property
    def size(self) -> int | None:
        """The bytes of an object whose body was not asked for; none: the store does not say."""
        return self.response.size

    @property
    def etag_is_md5(self) -> bool:
        """Whether that is made of the content's MD5: not if the store encrypts with keys that it does not have."""
        by_keys_of_others = self.response.header("x-amz-server-side-encryption") not in ("", "AES256")
        by_ours = self.response.header("x-amz-server-side-encryption-customer-algorithm")
        return not by_keys_of_others and not by_ours and MD5.fullmatch(self.etag) is not None


class Bucket:
    """The bucket that the options name.

    :param options: the group ``[s3]``.
    :raises InvalidValue: they cannot be used.
    """

    def __init__(self, options: Any) -> None:
        self.name: str = options.bucket or ""
        if not NAME.fullmatch(self.name):
            raise InvalidValue(subject="The option [s3] bucket", problem="it names no bucket")
        self._region: str = options.region
        self._credentials_file = Path(options.credentials_file)
        self._attempts: int = options.attempts
        url = options.endpoint_url or f"https://s3.{self._region}.amazonaws.com"
        virtual = options.addressing_style == "virtual"
        self._client = HttpClient(
            url.replace("://", f"://{self.name}.", 1) if virtual else url,
            ca_file=options.ca_file,
            connect_timeout=options.connect_timeout,
            timeout=options.timeout,
        )
        self._root = self._client.path if virtual else f"{self._client.path}/{self.name}"

    def ask(
        self,
        what: str,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Piece | None = None,
        attempts: int | None = None,
    ) -> Answer:
        """Send a request that can be sent twice, and read the whole answer.

        :param what: the subject of the sentences of errors.
        :param key: the name of an object; empty: the request is about the bucket.
        :param attempts: none: as many as the options say.
        :raises StorageUnavailable: again and again.
        :raises StorageError: the store refuses; its subclasses say why.
        """

        def once() -> Answer:
            response = self._sent(what, method, key, query or {}, headers or {}, body)
            content = response.read(answers.LONGEST)
            # What takes long begins with status 200, and may end with an error all the same.
            if method == "POST" and (complaint := answers.complaint(content)):
                raise failure(what, 200, complaint, response.header("Date"), _now())
            return Answer(response, content)

        return self._tried(once, attempts or self._attempts)

    def open(self, what: str, key: str) -> Response:
        """An object, whose bytes have not been read yet; once they have begun, nothing is tried again."""
        return self._tried(lambda: self._sent(what, "GET", key, {}, {}, None), self._attempts)

    def _tried(self, once: Callable[[], Done], attempts: int) -> Done:
        for attempt in range(attempts - 1):
            try:
                return once()
            except StorageUnavailable:
                # Guests that were all told to slow down must not come back together.
                pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
                waiting.pause(pause * random.uniform(0.5, 1.0))  # noqa: S311  it is no secret
        return once()

    def _sent(
        self,
        what: str,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Piece | None,
    ) -> Response:
        now = _now()
        complete = {**headers, "Host": self._client.authority}
        if body is not None:
            complete |= {"Content-Length": str(body.size), "Content-MD5": body.content_md5}
        path = signature.encoded_path(f"{self._root}/{key}" if key else self._root or "/")
        encoded_query = signature.encoded_query(query)
        signed = signature.signed_headers(
            credentials.read(self._credentials_file),
            self._region,
            now,
            method,
            path,
            encoded_query,
            complete,
            signature.EMPTY_SHA256 if body is None else body.sha256,
        )
        target = f"{path}?{encoded_query}" if encoded_query else path
        response = self._client.request(what, method, target, signed, None if body is None else body.chunks)
        if 200 <= response.status < 300:
            return response
        content = b""
        # An error that cannot be read is an error of its status.
        with response, contextlib.suppress(StorageError):
            content = response.read(answers.LONGEST_ERROR)
        complaint = answers.complaint(content) or answers.Complaint()
        raise failure(what, response.status, complaint, response.header("Date"), now)


def bare(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
