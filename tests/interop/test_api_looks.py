"""The agent, its machine, logs, TLS and modules through Trove's own client."""

import base64
import datetime

from tests.interop.exercised import exercises
from tests.interop.guest import Guest, unique
from tests.support.authority import Authority

LOG = {"name", "type", "status", "published", "pending", "container", "prefix", "metafile"}
"""What Trove's API and its command-line client show of a log."""


@exercises("rpc_ping", "get_hwinfo", "get_diagnostics")
def test_the_agent_and_its_machine(guest: Guest) -> None:
    assert guest.client.call("rpc_ping") is True
    assert guest.client.call("get_hwinfo")["num_cpus"] > 0
    assert guest.client.call("get_diagnostics")["threads"] > 0


@exercises("guest_log_list", "guest_log_action")
def test_logs(guest: Guest) -> None:
    listed = guest.client.call("guest_log_list")
    assert all(set(log) == LOG for log in listed)
    assert {"general", "slow_query", "error"} <= {log["name"] for log in listed}
    asked = {"log_name": "general", "enable": None, "disable": None, "publish": None, "discard": None}
    enabled = guest.client.call("guest_log_action", **asked | {"enable": 1})
    assert enabled["status"] in ("Enabled", "Ready")
    published = guest.client.call("guest_log_action", **asked | {"publish": 1})
    assert (published["status"], published["container"]) == ("Published", "database_logs")
    assert published["metafile"].startswith(guest.id)
    disabled = guest.client.call("guest_log_action", **asked | {"disable": 1, "discard": 1})
    assert (disabled["status"], disabled["published"]) == ("Disabled", 0)


@exercises("module_apply", "module_list", "module_remove")
def test_modules(guest: Guest) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    module = {
        "id": unique("module"),
        "name": "a module",
        "type": "ping",
        "contents": base64.b64encode(b"message=hello").decode(),
        "md5": "900150983cd24fb0d6963f7d28e17f72",
        "tenant": "all",
        "tenant_id": None,
        "datastore": "all",
        "datastore_id": None,
        "datastore_version": "all",
        "datastore_version_id": None,
        "description": None,
        "auto_apply": False,
        "priority_apply": False,
        "apply_order": 5,
        "is_admin": True,
        "visible": True,
        "live_update": False,
        "created": now,
        "updated": now,
    }
    [applied] = guest.client.call("module_apply", modules=[{"module": module}])
    assert (applied["id"], applied["status"], applied["message"]) == (module["id"], "OK", "hello")
    listed = guest.client.call("module_list", include_contents=True)
    [shown] = [one for one in listed if one["id"] == module["id"]]
    assert (shown["md5"], shown["contents"]) == (module["md5"], module["contents"])
    sent_to_remove = {name: value for name, value in module.items() if name != "contents"}
    assert guest.client.call("module_remove", module={"module": sent_to_remove}) is None
    assert module["id"] not in [one["id"] for one in guest.client.call("module_list", include_contents=False)]


@exercises("ssl_show", "ssl_action", "ssl_rollback")
def test_tls(guest: Guest) -> None:
    if guest.level != "latest":
        for call, arguments in ("ssl_show", {}), ("ssl_rollback", {}), ("ssl_action", ACTION):
            assert "Operation requires guest version 1.3 or later" in guest.client.refusal(call, **arguments)
        return
    made = Authority().container("db.example.com")
    container = {"private_key": made.private_key, "certificate": made.certificate, "ca": made.ca}
    assert guest.client.call("ssl_show")["status"] == "off"
    enabled = guest.client.call("ssl_action", **ACTION | {"mode": "basic", "container": container, "enable": 1})
    assert enabled["restart_required"] is True
    guest.restart()
    shown = guest.client.call("ssl_show")
    assert (shown["status"], shown["certificate"]["cn"]) == ("on", "db.example.com")
    assert guest.client.call("ssl_rollback")["status"] == "off"
    guest.restart()
    assert guest.client.call("ssl_show")["status"] == "off"


ACTION = {"mode": None, "container": None, "enable": None, "disable": None}
