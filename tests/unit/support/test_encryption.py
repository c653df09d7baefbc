"""The tests' own encryption, against a message that OpenSSL's command made.

``printf '{"a": 1}' | openssl enc -aes-256-cbc -nosalt -K <hex of the ASCII of md5(key)> -iv 000102…0f``
"""

import pytest

from guestagent.conformance.encryption import Cryptor, sealed_by

KEY = "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"
SEALED = "AAECAwQFBgcICQoLDA0ODz/nq+FuoFLUyrDMN8AwV3g="


def test_it_opens_what_openssl_sealed():
    assert Cryptor(KEY).decrypt(SEALED) == {"a": 1}


@pytest.mark.parametrize("value", [None, "", "ä" * 15, [1, {"b": None}], "x" * 14])
def test_it_opens_what_it_sealed_and_never_seals_twice_alike(value: object):
    cryptor = Cryptor(KEY)

    assert cryptor.decrypt(cryptor.encrypt(value)) == value
    assert cryptor.encrypt(value) != cryptor.encrypt(value)


def test_another_key_opens_nothing():
    with pytest.raises(ValueError, match="Invalid padding"):
        Cryptor("another").decrypt(SEALED)


def test_a_report_is_sealed_as_a_whole_or_not_at_all():
    part = '{"entity": "…", "csz-instance-id": "one"}'

    assert sealed_by({"context": "…", "csz-instance-id": "one"}, {"a": part, "b": part}) == "one"
    assert sealed_by({}, {"a": 1, "b": "", "c": {"csz-instance-id": "not this"}}) is None
    for spoilt in ({"a": "in clear"}, {"a": part.replace("one", "two")}):
        with pytest.raises(ValueError, match="a message in parts"):
            sealed_by({"context": "…", "csz-instance-id": "one"}, {"b": part, **spoilt})
