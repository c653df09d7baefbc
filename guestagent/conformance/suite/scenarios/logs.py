"""The server's logs."""

from collections.abc import Callable

from guestagent.conformance.guest import Guest
from guestagent.conformance.suite.scenarios.scenario import Arguments, Scenario, in_order


def _log(**action: int) -> Callable[[Guest], Arguments]:
    return lambda guest: {"log_name": guest.datastore.switched_log, **action}


def _any_log(**action: int) -> Callable[[Guest], Arguments]:
    return lambda guest: {"log_name": guest.do("guest_log_list")[0]["name"], **action}


def _asks_log(arguments: Callable[[Guest], Arguments]) -> Callable[[Guest], object]:
    return lambda guest: guest.do("guest_log_action", arguments(guest))


LOGS = [
    Scenario(
        "switch a log on",
        "guest_log_action",
        _log(enable=1),
        # What a log needs stays when it was on.
        in_order(_asks_log(_log(enable=1)), _asks_log(_log(disable=1))),
        ("guest_log_list",),
        ("switched_log",),
    ),
    Scenario(
        "switch a log off",
        "guest_log_action",
        _log(disable=1),
        _asks_log(_log(enable=1)),
        ("guest_log_list",),
        ("switched_log",),
    ),
    Scenario(
        "publish a log",
        "guest_log_action",
        _any_log(publish=1),
        # One that was off is on then.
        in_order(_asks_log(_any_log(publish=1)), _asks_log(_any_log(discard=1))),
        ("guest_log_list",),
    ),
    Scenario(
        "discard a log", "guest_log_action", _any_log(discard=1), _asks_log(_any_log(publish=1)), ("guest_log_list",)
    ),
]
