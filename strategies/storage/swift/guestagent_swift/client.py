"""One account of Swift over HTTP."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from oslo_config import cfg

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue
from guestagent.storage.http import Body, HttpClient, Response

API: Final = "/v1"
"""Where the part of a path that is an account's begins; what is before it is the whole cluster's."""
LONGEST: Final = 1 << 20
"""Bytes of the longest reply that is no page of names and no object."""


class Reply:
    """What the store has answered, whole.

    :ivar status: as HTTP numbers it.
    """

    def __init__(self, response: Response, content: bytes) -> None:
        self.status = response.status
        self.content = content
        self.header = response.header
        self.headers = response.headers

    @property
    def etag(self) -> str:
        """As Trove's API takes it: without quotes."""
        return self.header("ETag").strip('"')


class Account:
    """Sends requests to one account; any number of threads may do so at a time.

    :param url: of the account.
    :param conf: with ``[swift]``.
    :raises InvalidValue: the URL cannot be used.
    """

    def __init__(self, url: str, conf: cfg.ConfigOpts) -> None:
        self.url = url.rstrip("/")
        self._client = HttpClient(
            self.url,
            ca_file=conf.swift.ca_file,
            insecure=conf.swift.insecure,
            connect_timeout=conf.swift.connect_timeout,
            timeout=conf.swift.timeout,
        )

    def ask(
        self,
        context: RequestContext,
        what: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        longest: int = LONGEST,
    ) -> Reply:
        """Send a request with the token of the one that we work for, if that has one.

        :param what: the subject of the sentences of errors.
        :param path: below the account, percent-encoded.
        :param longest: bytes of the longest reply that is taken.
        """
        target = f"{self._client.path}{path}{'?' + urlencode(query) if query else ''}"
        with self._client.request(what, method, target, {**(headers or {}), **_token(context)}, body) as response:
            return Reply(response, response.read(longest))

    def stream(self, context: RequestContext, what: str, path: str) -> Response:
        """Ask for what may be long."""
        return self._client.request(what, "GET", f"{self._client.path}{path}", _token(context))

    def info(self, what: str) -> Reply:
        """What the cluster says of itself, to everybody."""
        before, _, _ = self._client.path.partition(f"{API}/")
        with self._client.request(what, "GET", f"{before}/info", {}) as response:
            return Reply(response, response.read(LONGEST))


def _token(context: RequestContext) -> dict[str, str]:
    token = context.values.get("auth_token")
    if not token:
        return {}
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise InvalidValue(subject="The token of the request", problem="it cannot be sent as a header")
    return {"X-Auth-Token": token}
