"""What the strategy refuses before it asks anybody."""

import ssl
from typing import Any

import pytest
from guestagent_swift.options import list_opts
from guestagent_swift.storage import SwiftStorage
from oslo_config import cfg

from guestagent import conf as runtime_options
from guestagent.conformance.ports import LOOPBACK, free_port
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, InvalidValue, StorageError
from guestagent.plugins.installed import Group, installed
from guestagent.storage.base import BaseStorage
from guestagent.storage.http import StorageUnavailable

CONTEXT = RequestContext({"auth_token": "secret"})
URL = "https://swift.example.org/v1/AUTH_3f"


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    runtime_options.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


@pytest.fixture
def storage(conf: cfg.ConfigOpts) -> SwiftStorage:
    return SwiftStorage(conf)


@pytest.fixture
def deaf(storage: SwiftStorage) -> SwiftStorage:
    """A store that nobody is at: who asks it gets :class:`StorageUnavailable`."""
    return storage.at(f"http://{LOOPBACK}:{free_port()}/v1/AUTH_3f")


def test_the_package_offers_the_strategy() -> None:
    (offer,) = (offer for offer in installed() if offer.group is Group.STORAGE and offer.name == "swift")
    assert offer.entry_point.load() is SwiftStorage
    assert issubclass(SwiftStorage, BaseStorage)


def test_certificates_count_unless_somebody_says_otherwise(conf: cfg.ConfigOpts, storage: SwiftStorage) -> None:
    for insecure, mode in ((False, ssl.CERT_REQUIRED), (True, ssl.CERT_NONE)):
        conf.set_override("insecure", insecure, group="swift")
        tls = SwiftStorage(conf).at(URL)._account()._client._tls
        assert tls is not None
        assert (tls.verify_mode, tls.check_hostname) == (mode, not insecure)
    assert [option.default for _, options in list_opts() for option in options if option.name == "insecure"] == [False]


def test_a_request_names_the_store(storage: SwiftStorage) -> None:
    assert storage.at(f"{URL}/").locate(f"{URL}/logs/a/b") == ("logs", "a/b")
    with pytest.raises(InvalidValue, match="does not begin with"):
        storage.at("https://other.example.org/v1/AUTH_3f").locate(f"{URL}/logs/a")


def test_the_option_names_it_where_no_request_does(conf: cfg.ConfigOpts, storage: SwiftStorage) -> None:
    for ask in (lambda: storage.locate(f"{URL}/logs/a"), lambda: storage.put(CONTEXT, "logs", "a", [b"x"])):
        with pytest.raises(InvalidValue, match=r"\[swift\] url is not set"):
            ask()
    conf.set_override("url", URL, group="swift")
    assert storage.at(None).locate(f"{URL}/logs/a") == ("logs", "a")


@pytest.mark.parametrize("url", ["", "swift", "ftp://host/v1/AUTH_3f", "https://user:password@host/v1", "https://"])
def test_a_url_that_cannot_be_used_is_refused_at_once(storage: SwiftStorage, url: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        storage.at(url)
    assert "password" not in str(raised.value)


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb", "ü", 7])
def test_a_token_that_is_no_header_is_refused_and_not_shown(deaf: SwiftStorage, token: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        deaf.list(RequestContext({"auth_token": token}), "logs")
    assert str(token) not in str(raised.value)


@pytest.mark.parametrize("metadata", [{"a b": "x"}, {"": "x"}, {"a:": "x"}, {"a": "x\r\ny"}, {"a": "ü"}])
def test_metadata_that_is_no_header_is_refused(deaf: SwiftStorage, metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidValue):
        deaf.put(CONTEXT, "logs", "a", [b"x"], metadata)


@pytest.mark.parametrize(("container", "name"), [("logs", "../other/a"), ("..", "a"), ("a/b", "c"), ("logs", "")])
def test_no_name_leaves_its_container(deaf: SwiftStorage, container: str, name: str) -> None:
    asks = (
        lambda: deaf.put(CONTEXT, container, name, [b"x"]),
        lambda: deaf.get(CONTEXT, container, name),
        lambda: deaf.size(CONTEXT, container, name),
        lambda: deaf.delete(CONTEXT, container, name),
    )
    for ask in asks:
        with pytest.raises(InvalidValue):
            ask()


def test_nothing_is_no_large_object(deaf: SwiftStorage) -> None:
    with pytest.raises(StorageError, match="nothing to join"):
        deaf.join(CONTEXT, "logs", "a", [])


def test_nobody_there_is_an_error_that_may_pass(deaf: SwiftStorage) -> None:
    with pytest.raises(StorageUnavailable) as raised:
        deaf.size(CONTEXT, "logs", "a")
    error: GuestAgentError = raised.value
    assert "secret" not in str(error)
