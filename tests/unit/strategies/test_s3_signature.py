"""Signatures, against those that Amazon has published."""

import datetime
import hashlib
from collections.abc import Mapping

import pytest
from guestagent_s3 import signature
from guestagent_s3.credentials import Credentials

# "Authenticating Requests: Using the Authorization Header", examples of the S3 API reference.
S3_CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
S3_HOST = {"Host": "examplebucket.s3.amazonaws.com"}
S3_MOMENT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)

# The test suite of Signature Version 4, of a service called "service".
SUITE_CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_HOST = {"Host": "example.amazonaws.com", "X-Amz-Date": "20150830T123600Z"}
SUITE_MOMENT = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC)
SUITE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8"
    "YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6f"
    "E8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj"
    "2ICCR/oLxBA=="
)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body", "names", "expected"),
    [
        (
            "GET",
            "/test.txt",
            {},
            {"Range": "bytes=0-9"},
            b"",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {},
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            {"lifecycle": ""},
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            {"prefix": "J", "max-keys": "2"},
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["GET an object", "PUT an object", "GET a bucket's lifecycle", "GET a bucket"],
)
def test_a_request_is_signed_as_in_the_reference_of_s3(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    names: str,
    expected: str,
) -> None:
    complete = signature.signed_headers(
        S3_CREDENTIALS,
        "us-east-1",
        S3_MOMENT,
        method,
        signature.encoded_path(path),
        signature.encoded_query(query),
        {**headers, **S3_HOST},
        hashlib.sha256(body).hexdigest(),
    )

    assert complete["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={names}, Signature={expected}"
    )


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [
        ("GET", "/", {}, {}, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", {}, {}, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/",
            {"Param2": "value2", "Param1": "value1"},
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            {},
            {},
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        ("GET", "/ሴ", {}, {}, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        ("GET", "/", {"ሴ": "bar"}, {}, "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        (
            "GET",
            "/",
            {},
            {"My-Header1": " value1", "My-Header2": ' "a   b   c"'},
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            {},
            {"X-Amz-Security-Token": SUITE_TOKEN},
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ],
    ids=[
        "get-vanilla",
        "post-vanilla",
        "get-vanilla-query-order-key",
        "get-unreserved",
        "get-utf8",
        "get-vanilla-utf8-query",
        "get-header-value-trim",
        "post-sts-header-before",
    ],
)
def test_a_request_is_signed_as_in_the_test_suite(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], expected: str
) -> None:
    authorization = signature.authorized(
        SUITE_CREDENTIALS,
        "us-east-1",
        "service",
        SUITE_MOMENT,
        method,
        signature.encoded_path(path),
        signature.encoded_query(query),
        {**SUITE_HOST, **headers},
        signature.EMPTY_SHA256,
    )

    assert authorization.endswith(f"Signature={expected}")


def test_a_token_is_sent_and_signed() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret", "the token")

    complete = signature.signed_headers(
        credentials, "us-east-1", SUITE_MOMENT, "GET", "/", "", S3_HOST, signature.EMPTY_SHA256
    )

    assert complete["X-Amz-Security-Token"] == "the token"
    assert "x-amz-security-token" in complete["Authorization"]


def test_names_are_escaped_once_and_by_their_bytes() -> None:
    assert signature.encoded_path("/a b/ü+%2F~'(1)*") == "/a%20b/%C3%BC%2B%252F~%27%281%29%2A"
    assert signature.encoded_query({"b": "x/y", "a": "1 +&="}) == "a=1%20%2B%26%3D&b=x%2Fy"


def test_the_query_is_sorted_by_what_is_sent() -> None:
    assert signature.encoded_query({"ü": "", "z": "", "a-b": "", "a": ""}) == "%C3%BC=&a=&a-b=&z="


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "the secret", "the token"))

    assert "the secret" not in shown
    assert "the token" not in shown
