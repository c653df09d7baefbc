"""TLS."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from guestagent.conformance.certificates import Authority
from guestagent.conformance.guest import Guest
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario


@functools.cache
def _containers(guest: Guest) -> Mapping[str, Mapping[str, str]]:
    """Two certificates with their keys, which this guest is given."""
    directory = guest.agent.directory / "authority"
    directory.mkdir()
    authority = Authority(directory)

    def container(name: str) -> Mapping[str, str]:
        certificate, key = authority.issue(name, "127.0.0.1")
        texts = {"private_key": key, "certificate": certificate, "ca": Path(authority.file)}
        return {kind: path.read_text() for kind, path in texts.items()}

    return {name: container(name) for name in ("first", "second")}


def _enabling(name: str) -> Callable[[Guest], Arguments]:
    return lambda guest: {"mode": "basic", "container": _containers(guest)[name], "enable": 1}


def _with_tls(*names: str) -> Callable[[Guest], None]:
    """TLS was enabled with one certificate after another, and nothing was before."""

    def settle(guest: Guest, arguments: Arguments) -> None:
        if guest.do("ssl_action", arguments)["restart_required"]:
            guest.do("restart")

    def arrange(guest: Guest) -> None:
        settle(guest, {"disable": 1})
        for name in names:
            settle(guest, _enabling(name)(guest))

    return arrange


_TLS: Mapping[str, Any] = {"also": ("ssl_show", "ssl_action", "restart"), "given": ("certificate",)}

TLS = [
    Scenario("enable TLS", "ssl_action", _enabling("first"), _with_tls(), **_TLS),
    Scenario("change the certificate", "ssl_action", _enabling("second"), _with_tls("first"), **_TLS),
    Scenario("disable TLS", "ssl_action", lambda guest: {"disable": 1}, _with_tls("first"), **_TLS),
    Scenario("roll TLS back", "ssl_rollback", arrange=_with_tls("first", "second"), **_TLS),
]
