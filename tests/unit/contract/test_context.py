"""The request context, which travels verbatim and is never trusted to be complete."""

import pytest

from guestagent.contract.context import RequestContext

NOTIFICATION = {"notification_classname": "trove.common.notification.DBaaSDatabaseCreate", "request_id": "req-1"}


def test_what_is_missing_has_a_harmless_meaning() -> None:
    empty = RequestContext()
    assert empty.request_id == "-"
    assert empty.is_admin is False
    assert empty.notification is None


def test_an_administrator_is_who_the_control_plane_says_is_one() -> None:
    assert RequestContext({"is_admin": True}).is_admin
    assert not RequestContext({"is_admin": False}).is_admin
    assert not RequestContext({"is_admin": None}).is_admin
    assert not RequestContext({"is_admin": "False"}).is_admin, "only the truth value itself, not what looks like one"


@pytest.mark.parametrize("value", [None, "", "x", [], {}, {"request_id": "req-1"}])
def test_a_notification_that_cannot_be_echoed_is_none(value: object) -> None:
    assert RequestContext({"trove_notification": value}).notification is None


def test_a_notification_is_kept_verbatim() -> None:
    assert RequestContext({"trove_notification": NOTIFICATION}).notification == NOTIFICATION


def test_the_token_is_not_in_what_a_log_would_show() -> None:
    assert "s3cr3t" not in repr(RequestContext({"auth_token": "s3cr3t"}))
