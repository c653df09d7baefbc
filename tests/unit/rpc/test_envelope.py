"""Both envelopes, against encryption written down a second time and texts that Trove's own code made."""

import base64
import json
import os
from typing import Any

import pytest

from guestagent.conformance.encryption import Cryptor
from guestagent.contract.errors import InvalidMessage
from guestagent.rpc import envelope

KEY = "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"
OTHER_KEY = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
GUEST_ID = "some-guest"

VALUES: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "text",
    "Grüße, 数据库, 🦭",
    "line\nbreak and \0",
    # With its two quotes it fills a block exactly, so that the padding is a whole block.
    "14 characters!",
    [],
    {},
    [1, [2, None], {"_name": "x"}],
    {"_name": "bücher", "_databases": [{"_name": "a"}], "_password": None},
    "x" * 100_000,
]

MADE_BY_TROVE = {
    "Ek5jbSuQOFyvcgjLhMIQT9QEEvuaBOnOzYJnqhu4krGfCf9zA8iP57KC1MFw+OSN4V/hxUpksG4Xd4cwgSnlRg==": {
        "_name": "bücher",
        "n": [1, None, True],
    },
    "pf3VmgyUhq/ci1U6+zda/d+T2u71vdSR7VCMv620ygY=": None,
    "6CMuWM/nxV7QSKYP+ULtZAO+q+wjgVYr1EBGTgs0+2DJgPue+UR4gGBF86AHba8f": "sixteen bytes!",
}


def seal(value: Any, key: str = KEY) -> str:
    return Cryptor(key).encrypt(value)


def decrypt(sealed: str) -> Any:
    return Cryptor(KEY).decrypt(sealed)


@pytest.fixture
def encrypted() -> envelope.Envelope:
    return envelope.for_instance(KEY, GUEST_ID)


@pytest.fixture
def context() -> dict[str, str]:
    return {"context": seal({"request_id": "req-1", "is_admin": False})}


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_everything_travels_as_it_is(key: str | None) -> None:
    plain = envelope.for_instance(key, GUEST_ID)

    assert plain.open_request({"a": 1}, {"limit": [None]}) == ({"a": 1}, {"limit": [None]})
    assert plain.seal_result({"x": [1]}) == {"x": [1]}
    assert plain.seal_report({}, {"sent": 1.5}) == ({}, {"sent": 1.5})
    assert plain.seal_request({"a": 1}, {"limit": 1}) == ({"a": 1}, {"limit": 1})
    assert plain.open_result(None) is None


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_request_is_opened(encrypted: envelope.Envelope, context: dict[str, str], value: Any) -> None:
    opened_context, arguments = encrypted.open_request(context, {"first": seal(value), "second": seal(1)})

    assert opened_context == {"request_id": "req-1", "is_admin": False}
    assert arguments == {"first": value, "second": 1}


@pytest.mark.parametrize("text", MADE_BY_TROVE)
def test_a_text_that_trove_made_is_opened(encrypted: envelope.Envelope, context: dict[str, str], text: str) -> None:
    assert encrypted.open_request(context, {"value": text})[1] == {"value": MADE_BY_TROVE[text]}


def test_no_arguments_need_no_encryption(encrypted: envelope.Envelope, context: dict[str, str]) -> None:
    assert encrypted.open_request(context, {})[1] == {}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_result_is_sealed_for_the_key_alone(encrypted: envelope.Envelope, value: Any) -> None:
    sealed = encrypted.seal_result(value)

    assert decrypt(sealed) == value
    assert encrypted.open_result(sealed) == value


def test_equal_results_do_not_look_equal(encrypted: envelope.Envelope) -> None:
    assert encrypted.seal_result("same") != encrypted.seal_result("same")


def test_a_report_is_sealed_as_the_conductor_opens_it(encrypted: envelope.Envelope) -> None:
    arguments = {"instance_id": GUEST_ID, "payload": {"service_status": "healthy"}, "sent": 1.25, "note": None}

    context, sealed = encrypted.seal_report({"user": "u"}, arguments)

    assert set(context) == {"context", "csz-instance-id"}
    assert context["csz-instance-id"] == GUEST_ID
    assert decrypt(context["context"]) == {"user": "u"}
    wrapped = {name: json.loads(text) for name, text in sealed.items()}
    assert all(item.keys() == {"entity", "csz-instance-id"} for item in wrapped.values())
    assert {item["csz-instance-id"] for item in wrapped.values()} == {GUEST_ID}
    assert {name: decrypt(item["entity"]) for name, item in wrapped.items()} == arguments


def test_a_client_seals_requests_as_the_control_plane_does(encrypted: envelope.Envelope) -> None:
    context, arguments = encrypted.seal_request({"user": "u"}, {"limit": None, "marker": "ä"})

    assert set(context) == {"context"}
    assert decrypt(context["context"]) == {"user": "u"}
    assert {name: decrypt(text) for name, text in arguments.items()} == {"limit": None, "marker": "ä"}


def flipped(text: str, position: int) -> str:
    """The same base64 with one bit of what it holds changed."""
    sealed = bytearray(base64.b64decode(text))
    sealed[position] ^= 1
    return base64.b64encode(bytes(sealed)).decode()


LONG = "a marker that takes some blocks of the cipher, and then some more of them"

NOT_ENCRYPTED: dict[str, Any] = {
    "plain text": "shop",
    "plain text that is base64": "c2hvcA==",
    "plain text that is base64 of two blocks": base64.b64encode(b"\x00" * 32).decode(),
    "empty": "",
    "null": None,
    "number": 7,
    "boolean": True,
    "list": ["shop"],
    "mapping": {"_name": "shop"},
    "other alphabets": "数据库",
    "only the vector": base64.b64encode(os.urandom(16)).decode(),
    "no whole blocks": base64.b64encode(os.urandom(47)).decode(),
    "other key": seal("shop", OTHER_KEY),
    "damaged padding": flipped(seal(LONG), -17),
    "damaged text": flipped(seal(LONG), 40),
    "truncated by a block": base64.b64encode(base64.b64decode(seal(LONG))[:-16]).decode(),
    "truncated base64": seal(LONG)[:-3],
    "base64 with line breaks": seal(LONG)[:20] + "\n" + seal(LONG)[20:],
    "no JSON": Cryptor(KEY).encrypt_bytes(b"shop"),
    "no UTF-8": Cryptor(KEY).encrypt_bytes(b'"\xff\xfe"'),
    "nothing": Cryptor(KEY).encrypt_bytes(b""),
    "nested deeper than can be read": Cryptor(KEY).encrypt_bytes(b"[" * 100_000),
}


@pytest.mark.parametrize("kind", NOT_ENCRYPTED)
def test_an_argument_that_is_not_encrypted_with_the_key_is_refused(
    encrypted: envelope.Envelope, context: dict[str, str], kind: str
) -> None:
    with pytest.raises(InvalidMessage, match="not encrypted with this instance's key"):
        encrypted.open_request(context, {"good": seal(1), "bad": NOT_ENCRYPTED[kind]})


@pytest.mark.parametrize("kind", NOT_ENCRYPTED)
def test_a_context_that_is_not_encrypted_with_the_key_is_refused(encrypted: envelope.Envelope, kind: str) -> None:
    with pytest.raises(InvalidMessage, match="not encrypted with this instance's key"):
        encrypted.open_request({"context": NOT_ENCRYPTED[kind]}, {"good": seal(1)})


@pytest.mark.parametrize("bad", [{}, {"user": "u", "request_id": "r"}, {"context": seal([1])}, {"context": seal(None)}])
def test_a_context_of_another_form_is_refused(encrypted: envelope.Envelope, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        encrypted.open_request(bad, {})


@pytest.mark.parametrize("kind", NOT_ENCRYPTED)
def test_a_result_that_is_not_encrypted_with_the_key_is_refused(encrypted: envelope.Envelope, kind: str) -> None:
    with pytest.raises(InvalidMessage):
        encrypted.open_result(NOT_ENCRYPTED[kind])


def test_a_refusal_says_nothing_of_what_was_decrypted(encrypted: envelope.Envelope, context: dict[str, str]) -> None:
    with pytest.raises(InvalidMessage) as caught:
        encrypted.open_request(context, {"bad": Cryptor(KEY).encrypt_bytes(b"the secret is not JSON")})

    assert "secret" not in str(caught.value)
    assert KEY not in repr(caught.value.facts) + str(caught.value)
    assert caught.value.__cause__ is None
