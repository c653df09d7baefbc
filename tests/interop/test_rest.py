"""What a person sees through Trove's REST API, which asks the agent for it."""

import base64
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from guestagent.conformance.poll import eventually
from tests.interop.conftest import newest
from tests.interop.guest import Guest, unique

pytestmark = newest

PASSWORD = "Wee-sleekit-1"
OTHER = "cowrin-timorous-2"


def ask(guest: Guest, path: str, **where: Any) -> Any:
    """The body of a GET that must succeed."""
    status, body = guest.client.rest("GET", path, **where)
    assert status == 200, body
    return body


def do(guest: Guest, method: str, path: str, body: Any = None) -> Any:
    """The body of a request that must be accepted."""
    status, answer = guest.client.rest(method, path, body)
    assert 200 <= status < 300, answer
    return answer


def every_page(guest: Guest, kind: str, limit: int) -> list[Any]:
    """What Trove's command-line client finds, which takes the marker of the next page from a link.

    The marker is quoted twice there. The client undoes one of the two and sends on what is left.
    """
    seen, marker = [], ""
    while True:
        body = ask(guest, f"/{kind}?limit={limit}{marker}")
        assert len(body[kind]) <= limit
        seen += body[kind]
        links = [link["href"] for link in body.get("links", []) if link["rel"] == "next"]
        if not links:
            return seen
        before, marker = marker, f"&marker={dict(parse_qsl(urlsplit(links[0]).query))['marker']}"
        assert marker != before


def create_database(guest: Guest) -> str:
    name = unique("database")
    do(guest, "POST", "/databases", {"databases": [{"name": name, "character_set": "utf8mb4"}]})
    eventually(lambda: {"name": name} in every_page(guest, "databases", 50))
    return name


def create_user(guest: Guest, *databases: str) -> str:
    name = unique("user")
    granted = [{"name": database} for database in databases]
    do(guest, "POST", "/users", {"users": [{"name": name, "password": PASSWORD, "databases": granted}]})
    eventually(lambda: guest.client.rest("GET", f"/users/{name}")[0] == 200)
    return name


def test_an_instance(guest: Guest) -> None:
    shown = ask(guest, "")["instance"]
    assert (shown["status"], shown["operating_status"]) == ("ACTIVE", "HEALTHY")
    assert shown["encrypted_rpc_messaging"] is guest.encrypted
    assert shown["volume"]["used"] > 0
    assert 0 < shown["volume"]["used_percent"] <= 100


def test_databases(guest: Guest) -> None:
    made = sorted(create_database(guest) for _ in range(3))
    shown = [database["name"] for database in every_page(guest, "databases", 2)]
    assert shown == sorted(shown)
    assert set(made) <= set(shown)
    status, body = guest.client.rest("POST", "/databases", {"databases": [{"name": made[0]}]})
    assert (status, "already exists" in body["badRequest"]["message"]) == (400, True)
    do(guest, "DELETE", f"/databases/{made[0]}")
    eventually(lambda: {"name": made[0]} not in every_page(guest, "databases", 50))
    assert guest.client.rest("DELETE", f"/databases/{made[0]}")[0] == 404


def test_users(guest: Guest) -> None:
    database = create_database(guest)
    name = create_user(guest, database)
    granted = {"name": name, "host": "%", "databases": [{"name": database}]}
    assert ask(guest, f"/users/{name}") == {"user": granted}
    assert granted in every_page(guest, "users", 1)
    assert guest.client.rest("POST", "/users", {"users": [{"name": name, "password": PASSWORD}]})[0] == 400
    do(guest, "PUT", "/users", {"users": [{"name": name, "password": OTHER}]})
    eventually(lambda: guest.lets_in(name, OTHER))
    renamed = unique("user")
    do(guest, "PUT", f"/users/{name}", {"user": {"name": renamed, "host": "127.0.0.1"}})
    eventually(lambda: guest.client.rest("GET", f"/users/{renamed}@127.0.0.1")[0] == 200)
    assert guest.client.rest("GET", f"/users/{name}")[0] == 404
    do(guest, "DELETE", f"/users/{renamed}@127.0.0.1")
    eventually(lambda: guest.client.rest("GET", f"/users/{renamed}@127.0.0.1")[0] == 404)


def test_access(guest: Guest) -> None:
    name, database = create_user(guest), create_database(guest)
    do(guest, "PUT", f"/users/{name}/databases", {"databases": [{"name": database}]})
    assert ask(guest, f"/users/{name}/databases") == {"databases": [{"name": database}]}
    do(guest, "DELETE", f"/users/{name}/databases/{database}")
    assert ask(guest, f"/users/{name}/databases") == {"databases": []}


def test_root(guest: Guest) -> None:
    assert ask(guest, "/root") == {"rootEnabled": False}
    generated = do(guest, "POST", "/root")["user"]
    assert generated["name"] == "root"
    assert guest.lets_in("root", generated["password"])
    assert do(guest, "POST", "/root", {"password": OTHER})["user"]["password"] == OTHER
    assert guest.lets_in("root", OTHER)
    assert ask(guest, "/root") == {"rootEnabled": True}
    do(guest, "DELETE", "/root")
    assert not guest.lets_in("root", OTHER)


def test_logs(guest: Guest) -> None:
    shown = {log["name"]: log for log in ask(guest, "/log")["logs"]}
    assert shown["slow_query"]["status"] == "Disabled"
    enabled = do(guest, "POST", "/log", {"name": "slow_query", "enable": 1})["log"]
    assert (enabled["type"], enabled["status"]) == ("USER", "Ready")
    disabled = do(guest, "POST", "/log", {"name": "slow_query", "disable": 1, "discard": 1})["log"]
    assert disabled["status"] == "Disabled"


def test_modules(guest: Guest) -> None:
    contents = base64.b64encode(b"message=hello").decode()
    body = {"module": {"name": unique("module"), "module_type": "ping", "contents": contents}}
    answer = guest.control_plane.do("rest", method="POST", path="/modules", body=body, level=guest.level)
    module = answer["body"]["module"]["id"]
    [applied] = do(guest, "POST", "/modules", {"modules": [{"id": module}]})["modules"]
    assert (applied["status"], applied["message"]) == ("OK", "hello")
    assert module in [one["id"] for one in ask(guest, "/modules?from_guest=1&include_contents=1")["modules"]]
    do(guest, "DELETE", f"/modules/{module}")
    assert module not in [one["id"] for one in ask(guest, "/modules?from_guest=1")["modules"]]


def test_tls(guest: Guest) -> None:
    assert ask(guest, "/ssl") == {"ssl": {"status": "off", "mode": "builtin"}}


def test_an_operators_look(guest: Guest) -> None:
    machine = ask(guest, "/hwinfo", management=True)["hwinfo"]
    assert (machine["num_cpus"] > 0, machine["mem_total"] > 2**20) == (True, True)
    agent = ask(guest, "/diagnostics", management=True)["diagnostics"]
    assert 0 < agent["vmRss"] <= agent["vmHwm"]
    assert guest.client.rest("GET", "/rpc_ping", management=True) == (204, None)


def test_a_refusal_is_one_sentence_for_a_person(guest: Guest) -> None:
    name, missing = create_user(guest), unique("missing")
    status, body = guest.client.rest("PUT", f"/users/{name}/databases", {"databases": [{"name": missing}]})
    said = body["badRequest"]["message"]
    assert status == 400
    assert said.startswith("An error occurred communicating with the guest: ")
    assert missing in said
    assert said.endswith("does not exist on this guest.")
    assert not re.search(r"\n|Traceback|\.\.", said)
