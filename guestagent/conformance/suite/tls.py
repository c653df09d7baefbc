"""TLS: shown, enabled, rolled back and disabled, as a client sees it."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestagent.conformance.certificates import Authority
from guestagent.conformance.claims import claims, given
from guestagent.conformance.guest import Guest


@claims("ssl_show", "ssl_action", "ssl_rollback", "restart")
@given("certificate")
class TestTls:
    """With certificates of an authority of the tests' own."""

    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("authority"))

    @pytest.fixture(autouse=True)
    def off(self, guest: Guest) -> Iterator[None]:
        yield
        self.settle(guest, guest.do("ssl_action", disable=1))

    def container(self, authority: Authority, name: str) -> dict[str, str]:
        certificate, key = authority.issue(name, "127.0.0.1")
        return {
            "private_key": key.read_text(),
            "certificate": certificate.read_text(),
            "ca": Path(authority.file).read_text(),
        }

    def settle(self, guest: Guest, result: dict[str, Any]) -> None:
        if result["restart_required"]:
            guest.do("restart")

    def shows(self, guest: Guest, container: dict[str, str]) -> bool:
        wanted = ssl.PEM_cert_to_DER_cert(container["certificate"])
        return guest.datastore.certificate(guest.account) == wanted

    def test_it_is_off_until_it_is_asked_for(self, guest: Guest) -> None:
        assert guest.do("ssl_show")["status"] == "off"
        assert guest.datastore.certificate(guest.account) is None

    def test_it_comes_and_goes(self, guest: Guest, authority: Authority) -> None:
        container = self.container(authority, "db-1")
        self.settle(guest, guest.do("ssl_action", mode="basic", container=container, enable=1))
        shown = guest.do("ssl_show")
        assert (shown["status"], shown["mode"]) == ("on", "basic")
        assert shown["certificate"]["cn"] == "db-1"
        assert self.shows(guest, container)
        guest.reboot_agent()
        assert guest.do("ssl_show")["status"] == "on"
        self.settle(guest, guest.do("ssl_action", disable=1))
        assert guest.do("ssl_show")["status"] == "off"
        assert guest.datastore.certificate(guest.account) is None

    def test_a_rollback_puts_the_previous_one_in_force(self, guest: Guest, authority: Authority) -> None:
        first, second = self.container(authority, "db-1"), self.container(authority, "db-2")
        for container in (first, second):
            self.settle(guest, guest.do("ssl_action", mode="basic", container=container, enable=1))
        assert self.shows(guest, second)
        self.settle(guest, guest.do("ssl_rollback"))
        assert self.shows(guest, first)
        assert guest.refusal("ssl_rollback").kind == "NotFound"

    def test_what_does_not_belong_together_is_refused(self, guest: Guest, authority: Authority) -> None:
        mixed = self.container(authority, "db-1") | {"private_key": self.container(authority, "db-2")["private_key"]}
        for container in (mixed, {"private_key": "", "certificate": ""}, {"private_key": "x", "certificate": "\0"}):
            refused = guest.refusal("ssl_action", mode="basic", container=container, enable=1)
            assert refused.kind == "InvalidValue"
            assert container["private_key"] not in refused.sentence or len(container["private_key"]) < 2
        wrong_mode = {"mode": "no-such-mode", "container": self.container(authority, "db-1"), "enable": 1}
        assert guest.refusal("ssl_action", wrong_mode).kind == "InvalidValue"
        assert guest.do("ssl_show")["status"] == "off"
        assert guest.status() == "healthy"
