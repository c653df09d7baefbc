"""Names in Swift: how a path has them, which ones are refused, and what a location says."""

import pytest
from guestagent_swift.names import container_path, located, location_of, object_path

from guestagent.contract.errors import InvalidValue

URL = "https://swift.example.org:8080/v1/AUTH_3f"
ESCAPES = ["", "/", "/etc", ".", "..", "../x", "a/../../x", "a/..", "./a", "a/./b", "a\0b", "\ud800", "x" * 1025]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("6c6f/db-general/log-2026-01-01T00:00:00.000001", "/logs/6c6f/db-general/log-2026-01-01T00%3A00%3A00.000001"),
        ("a b?c#d%e&f", "/logs/a%20b%3Fc%23d%25e%26f"),
        ("größe/日本", "/logs/gr%C3%B6%C3%9Fe/%E6%97%A5%E6%9C%AC"),
        ("line\nend", "/logs/line%0Aend"),
        ("...", "/logs/..."),
        ("a//b", "/logs/a//b"),
    ],
)
def test_a_name_is_quoted_and_keeps_its_slashes(name: str, path: str) -> None:
    assert object_path("logs", name) == path


def test_a_container_is_quoted() -> None:
    assert container_path("my logs?") == "/my%20logs%3F"


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_could_leave_its_container_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        object_path("logs", name)


@pytest.mark.parametrize("container", [*ESCAPES, "a/b", "x" * 257])
def test_a_container_is_one_part_of_the_path(container: str) -> None:
    with pytest.raises(InvalidValue):
        container_path(container)
    with pytest.raises(InvalidValue):
        object_path(container, "a")


@pytest.mark.parametrize("name", ["6c6f.backup", "6c6f/manifest.json", "a b?c"])
def test_a_location_leads_back_to_its_object(name: str) -> None:
    location = location_of(URL, "database_backups", name)
    assert location == f"{URL}/database_backups/{name}"
    assert located(URL, location) == ("database_backups", name)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "database_backups/a",
        "local://database_backups/a",
        f"{URL}f/database_backups/a",
        "https://elsewhere.example.org/v1/AUTH_3f/database_backups/a",
        "http://swift.example.org:8080/v1/AUTH_3f/database_backups/a",
        f"{URL}/",
        f"{URL}/database_backups",
        f"{URL}/database_backups/",
        f"{URL}//a",
        f"{URL}/../AUTH_other/a",
        f"{URL}/database_backups/../../AUTH_other/a",
    ],
)
def test_a_location_elsewhere_is_refused(location: str) -> None:
    with pytest.raises(InvalidValue):
        located(URL, location)
