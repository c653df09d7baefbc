"""AWS Signature Version 4: what proves that a request is ours, and as we sent it.

Amazon's words for the steps are kept: canonical request, string to sign, signing key.
"""

import datetime
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from typing import Final

from guestagent_s3.credentials import Credentials

ALGORITHM: Final = "AWS4-HMAC-SHA256"
EMPTY_SHA256: Final = hashlib.sha256().hexdigest()
UNRESERVED: Final = "-_.~"


def encoded_path(path: str) -> str:
    """A path as it is sent and signed: every byte that is not unreserved in RFC 3986 is escaped, once."""
    return urllib.parse.quote(path, safe=f"{UNRESERVED}/")


def encoded_query(query: Mapping[str, str]) -> str:
    """A query as it is sent and signed: sorted by its escaped names."""
    pairs = ((_quoted(name), _quoted(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def signed_headers(
    credentials: Credentials,
    region: str,
    moment: datetime.datetime,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload_sha256: str,
) -> dict[str, str]:
    """The headers of a request, with those that sign it.

    :param moment: of the request, in UTC.
    :param path: as :func:`encoded_path` has it.
    :param query: as :func:`encoded_query` has it.
    :param headers: with ``Host``; all of them are signed.
    :param payload_sha256: of the body, hexadecimal.
    """
    complete = {
        **headers,
        "X-Amz-Content-SHA256": payload_sha256,
        "X-Amz-Date": f"{moment:%Y%m%dT%H%M%SZ}",
    }
    if credentials.token is not None:
        complete["X-Amz-Security-Token"] = credentials.token
    authorization = authorized(credentials, region, "s3", moment, method, path, query, complete, payload_sha256)
    return {**complete, "Authorization": authorization}


def authorized(
    credentials: Credentials,
    region: str,
    service: str,
    moment: datetime.datetime,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload_sha256: str,
) -> str:
    """The value of the header ``Authorization``."""
    canonical = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    names = ";".join(sorted(canonical))
    lines = [f"{name}:{canonical[name]}\n" for name in sorted(canonical)]
    canonical_request = "\n".join([method, path, query, "".join(lines), names, payload_sha256])
    day = f"{moment:%Y%m%d}"
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    string_to_sign = "\n".join([ALGORITHM, f"{moment:%Y%m%dT%H%M%SZ}", scope, hashed])
    key = f"AWS4{credentials.secret_key}".encode()
    for step in (day, region, service, "aws4_request", string_to_sign):
        key = hmac.digest(key, step.encode(), "sha256")
    return f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe=UNRESERVED)
