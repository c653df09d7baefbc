"""Modules: in order, remembered, and shown to those who may see them."""

import base64
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from guestagent.capabilities.modules import AppliedModules
from guestagent.contract import ALLOWED
from guestagent.contract.call import TROVE
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import InvalidValue, NotFound, SystemFailure
from guestagent.contract.modules import Module, ModuleEnvelope, ModuleResult
from guestagent.modules.driver import ModuleDriver
from guestagent.modules.ping import PingDriver
from tests.unit.capabilities.conftest import MakeGuest
from tests.unit.storage.full_disk import full_disk

USER = RequestContext({"is_admin": False})
ADMIN = RequestContext({"is_admin": True})
MODULE_ID = "e9a6cb75-67aa-4d1a-8ff1-60aa9c348618"
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d")


class License(ModuleDriver):
    """Writes down what it is asked to do; refuses contents that say so."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.refuses_removal = False

    def apply(self, module: Module, contents: Path) -> str:
        self.seen.append(("apply", module.name, contents.read_bytes()))
        if contents.read_bytes() == b"refuse":
            raise InvalidValue(subject="The license", problem="it has expired")
        return "licensed"

    def remove(self, module: Module, contents: Path) -> None:
        if self.refuses_removal:
            raise SystemFailure(subject="Removing the license", problem="it is in use")
        self.seen.append(("remove", module.name, contents.read_bytes()))


@pytest.fixture
def license_driver() -> License:
    return License()


@pytest.fixture
def manager(make_guest: MakeGuest, license_driver: License) -> AppliedModules:
    return AppliedModules(make_guest(modules={"ping": PingDriver(), "license": license_driver}))


@pytest.fixture
def kept(manager: AppliedModules) -> Path:
    """Where modules are kept."""
    return manager.guest.state_dir / "modules"


def envelope(name: str = "m1", contents: bytes | str | None = b"message=hi", **fields: Any) -> ModuleEnvelope:
    """A module as the control plane sends it."""
    if isinstance(contents, bytes):
        contents = base64.b64encode(contents).decode()
    fields = {"id": f"id-of-{name}", "type": "ping", "tenant": "tenant-a", "is_admin": False, **fields}
    return ModuleEnvelope(Module(name=name, contents=contents, **fields))


def names(results: list[ModuleResult]) -> list[str]:
    return [result.name for result in results]


def test_a_module_as_the_control_plane_sends_it(manager: AppliedModules) -> None:
    sent = {
        "id": MODULE_ID, "name": "m1", "type": "ping", "description": None, "tenant_id": "tenant-a",
        "datastore_id": None, "datastore_version_id": None, "auto_apply": False, "priority_apply": False,
        "apply_order": 5, "is_admin": True, "md5": "5deae39af07334d75a075a750c1c0a17", "visible": True,
        "created": "2026-11-21T02:16:06.000000", "updated": "2026-11-21T02:16:06.000000", "tenant": "tenant-a",
        "datastore": "all", "datastore_version": "all", "live_update": False, "contents": "bWVzc2FnZT1oaQ==",
    }  # fmt: skip
    arguments = ALLOWED[TROVE, "module_apply"].bind({"modules": [{"module": sent}]})
    (result,) = manager.module_apply(ADMIN, **arguments)
    assert STAMP.fullmatch(result.created)
    assert result == ModuleResult(
        id=MODULE_ID, name="m1", type="ping", datastore="all", datastore_version="all", tenant="tenant-a",
        md5="5deae39af07334d75a075a750c1c0a17", status="OK", message="hi", created=result.created,
        updated=result.created, removed=None, auto_apply=False, visible=True, is_admin=True, contents=None,
    )  # fmt: skip
    assert manager.module_list(ADMIN) == [result]


def test_nothing_is_applied_on_a_new_guest(manager: AppliedModules) -> None:
    assert manager.module_list(ADMIN) == []
    assert manager.module_apply(ADMIN, []) == []


def test_modules_are_applied_by_priority_and_then_by_order(manager: AppliedModules, license_driver: License) -> None:
    sent = [
        envelope("late", type="license", apply_order=9),
        envelope("first of equals", type="license", apply_order=5),
        envelope("second of equals", type="license", apply_order=5),
        envelope("early", type="license", apply_order=0),
        envelope("urgent", type="license", apply_order=7, priority_apply=True),
        envelope("most urgent", type="license", apply_order=1, priority_apply=True),
    ]
    for number, each in enumerate(sent):
        each.module.id = str(number)
    expected = ["most urgent", "urgent", "early", "first of equals", "second of equals", "late"]
    assert names(manager.module_apply(USER, sent)) == expected
    assert [name for _, name, _ in license_driver.seen] == expected
    assert names(manager.module_list(USER)) == expected[::-1], "newest first"


def test_applying_again_updates(manager: AppliedModules) -> None:
    (first,) = manager.module_apply(USER, [envelope("m1", b"message=old", md5="1")])
    manager.module_apply(USER, [envelope("m2")])
    (second,) = manager.module_apply(USER, [envelope("m1", b"message=new", md5="2")])
    assert (second.message, second.md5, second.created) == ("new", "2", first.created)
    assert names(manager.module_list(USER)) == ["m1", "m2"]


def test_a_module_is_remembered_by_the_next_agent(
    manager: AppliedModules, make_guest: MakeGuest, license_driver: License
) -> None:
    applied = manager.module_apply(USER, [envelope("m1", b"key", type="license")])
    successor = AppliedModules(make_guest(modules={"license": license_driver}))
    assert successor.module_list(USER) == applied
    successor.module_remove(USER, envelope("m1", None, type="license"))
    assert license_driver.seen[-1] == ("remove", "m1", b"key")
    assert successor.module_list(USER) == []


def test_a_module_whose_driver_left_the_image_is_still_listed(manager: AppliedModules, make_guest: MakeGuest) -> None:
    applied = manager.module_apply(USER, [envelope("m1", type="license")])
    assert AppliedModules(make_guest()).module_list(USER) == applied


def test_a_module_that_fails_is_reported_and_the_others_go_on(manager: AppliedModules) -> None:
    bad, good = manager.module_apply(
        USER, [envelope("bad", b"refuse", type="license"), envelope("good", type="license")]
    )
    assert (bad.status, bad.message) == ("ERROR", "The license cannot be used: it has expired.")
    assert (good.status, good.message) == ("OK", "licensed")
    assert {result.name: result.status for result in manager.module_list(USER)} == {"bad": "ERROR", "good": "OK"}
    (healed,) = manager.module_apply(USER, [envelope("bad", b"accept", type="license")])
    assert healed.status == "OK"


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"type": "newrelic"}, NotFound, "driver for modules of type 'newrelic'"),
        ({"datastore": "otherdb"}, InvalidValue, "for datastore 'otherdb', and this guest's is 'testdb'"),
        ({"contents": None}, InvalidValue, "no contents"),
        ({"contents": ""}, InvalidValue, "no contents"),
        ({"contents": "message=hi"}, InvalidValue, "not base64"),
        ({"contents": "bWVzc2FnZT1oaQ="}, InvalidValue, "not base64"),
        ({"contents": "ünïcödé="}, InvalidValue, "not base64"),
        ({"name": ""}, InvalidValue, "without a name"),
    ],
)
def test_one_module_that_cannot_be_applied_here_and_none_is_applied(
    manager: AppliedModules, license_driver: License, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        manager.module_apply(USER, [envelope("good", type="license"), envelope(**{"name": "bad", **fields})])
    assert license_driver.seen == []
    assert manager.module_list(ADMIN) == []


@pytest.mark.parametrize("datastore", [None, "", "all", "testdb"])
def test_a_module_for_all_datastores_or_for_this_one_is_welcome(manager: AppliedModules, datastore: str | None) -> None:
    (result,) = manager.module_apply(USER, [envelope(datastore=datastore)])
    assert result.datastore == (datastore or "all")


@pytest.mark.parametrize(
    "module_id", ["", ".", "..", "../../x", "a/b", "/etc", "a\0b", "a\n", "-rf", "ü", "x" * 300], ids=repr
)
def test_no_id_names_another_directory(manager: AppliedModules, tmp_path: Path, module_id: str) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InvalidValue, match="type or id"):
        manager.module_apply(USER, [envelope(id=module_id)])
    with pytest.raises(InvalidValue, match="type or id"):
        manager.module_remove(USER, envelope(id=module_id))
    assert set(tmp_path.rglob("*")) == before


def test_contents_of_any_kind_and_wrapped_base64_arrive_as_they_are(
    manager: AppliedModules, license_driver: License
) -> None:
    contents = bytes(range(256)) * 20
    manager.module_apply(USER, [envelope("m1", base64.encodebytes(contents).decode(), type="license")])
    assert license_driver.seen == [("apply", "m1", contents)]


def test_what_is_kept_is_for_the_agent_alone(manager: AppliedModules, kept: Path) -> None:
    manager.module_apply(USER, [envelope()])
    for path in (kept, *kept.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_users_see_visible_modules_and_administrators_all(manager: AppliedModules) -> None:
    manager.module_apply(ADMIN, [envelope("shown"), envelope("hidden", visible=False)])
    assert names(manager.module_list(USER)) == ["shown"]
    assert sorted(names(manager.module_list(ADMIN))) == ["hidden", "shown"]


def test_contents_are_only_told_when_asked_for(manager: AppliedModules) -> None:
    manager.module_apply(USER, [envelope("m1", b"message=hi")])
    assert manager.module_list(USER)[0].contents is None
    assert manager.module_list(USER, include_contents=True)[0].contents == "bWVzc2FnZT1oaQ=="


def test_contents_of_an_administrators_module_are_for_administrators(manager: AppliedModules) -> None:
    manager.module_apply(ADMIN, [envelope("m1", b"message=s3cr3t", is_admin=True)])
    (for_admin,) = manager.module_list(ADMIN, include_contents=True)
    assert base64.b64decode(for_admin.contents or "") == b"message=s3cr3t"
    (for_user,) = manager.module_list(USER, include_contents=True)
    told = base64.b64decode(for_user.contents or "").decode()
    assert "s3cr3t" not in told
    assert "administrator" in told


@pytest.mark.parametrize(
    ("fields", "is_admin"),
    [
        ({}, False),
        ({"tenant": None}, True),
        ({"tenant": "all"}, True),
        ({"visible": False}, True),
        ({"auto_apply": True}, True),
    ],
)
def test_an_older_control_plane_does_not_say_whose_module_it_is(
    manager: AppliedModules, fields: dict[str, Any], is_admin: bool
) -> None:
    (result,) = manager.module_apply(USER, [envelope(is_admin=None, **fields)])
    assert result.is_admin is is_admin


def test_removing_lets_the_driver_undo_it_and_forgets_it(
    manager: AppliedModules, license_driver: License, kept: Path
) -> None:
    manager.module_apply(USER, [envelope("m1", b"key", type="license"), envelope("m2")])
    manager.module_remove(USER, envelope("m1", None, type="license"))
    assert license_driver.seen[-1] == ("remove", "m1", b"key")
    assert names(manager.module_list(ADMIN)) == ["m2"]
    assert list((kept / "license").iterdir()) == []
    with pytest.raises(NotFound, match="Module 'm1'"):
        manager.module_remove(USER, envelope("m1", None, type="license"))


def test_a_module_that_was_never_applied_cannot_be_removed(manager: AppliedModules) -> None:
    with pytest.raises(NotFound, match="Module 'm1'"):
        manager.module_remove(USER, envelope("m1"))
    with pytest.raises(NotFound, match="driver"):
        manager.module_remove(USER, envelope("m1", type="newrelic"))


def test_a_module_that_cannot_be_removed_stays(manager: AppliedModules, license_driver: License) -> None:
    manager.module_apply(USER, [envelope("m1", b"key", type="license")])
    license_driver.refuses_removal = True
    with pytest.raises(SystemFailure, match="in use"):
        manager.module_remove(USER, envelope("m1", type="license"))
    assert names(manager.module_list(USER)) == ["m1"]
    license_driver.refuses_removal = False
    manager.module_remove(USER, envelope("m1", type="license"))


def test_a_full_disk_is_reported_and_leaves_the_module_as_it_was(manager: AppliedModules, kept: Path) -> None:
    manager.module_apply(USER, [envelope("m1", b"message=old")])
    with full_disk(), pytest.raises(SystemFailure, match="Writing"):
        manager.module_apply(USER, [envelope("m1", b"message=new")])
    (result,) = manager.module_list(USER, include_contents=True)
    assert (result.message, result.contents) == ("old", base64.b64encode(b"message=old").decode())
    with full_disk(), pytest.raises(SystemFailure, match="Writing"):
        manager.module_apply(USER, [envelope("m2")])
    assert names(manager.module_list(USER)) == ["m1"]


def test_an_apply_that_a_crash_ended_left_nothing_applied(
    manager: AppliedModules, license_driver: License, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The agent's end, as far as code can see it."""

    def die(module: Module, contents: Path) -> str:
        raise Killed

    monkeypatch.setattr(license_driver, "apply", die)
    with pytest.raises(Killed):
        manager.module_apply(USER, [envelope("m1", type="license")])
    assert manager.module_list(USER) == []
    monkeypatch.undo()
    assert manager.module_apply(USER, [envelope("m1", type="license")])[0].status == "OK"


def test_a_damaged_result_is_named_with_what_to_do(manager: AppliedModules, kept: Path) -> None:
    manager.module_apply(USER, [envelope("m1")])
    damaged = kept / "ping" / "id-of-m1" / "result.json"
    damaged.write_bytes(b'{"id": 7}')
    with pytest.raises(SystemFailure, match=re.escape(str(damaged)) + ".*apply the module again"):
        manager.module_list(USER)
