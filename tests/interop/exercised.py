"""Which methods of Trove's client the tests call."""

import functools
from collections.abc import Callable
from typing import Any

from tests.interop.guest import Guest

EXERCISED: set[str] = set()
"""By the tests of every module that has been imported."""

Test = Callable[..., None]


def exercises(*methods: str) -> Callable[[Test], Test]:
    """Say which methods a test calls on ``guest.client``, and see that it does."""
    EXERCISED.update(methods)

    def declare(test: Test) -> Test:
        @functools.wraps(test)
        def run(guest: Guest, **fixtures: Any) -> None:
            guest.client.called.clear()
            test(guest=guest, **fixtures)
            assert guest.client.called >= set(methods)

        return run

    return declare
