"""Names in a bucket."""

import pytest
from guestagent_s3.names import Names

from guestagent.contract.errors import InvalidValue

ESCAPES = ["", ".", "..", "/", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "a/./b", "a\0b", "\ud800"]


@pytest.mark.parametrize(
    ("prefix", "key"),
    [("", "logs/a/b"), ("guests", "guests/logs/a/b"), ("guests/", "guests/logs/a/b"), ("/a/b/", "a/b/logs/a/b")],
)
def test_a_location_leads_back(prefix: str, key: str) -> None:
    names = Names.of("bucket", prefix)

    assert names.key("logs", "a/b") == key
    assert names.location("logs", "a/b") == f"s3://bucket/{key}"
    assert names.located(f"s3://bucket/{key}") == ("logs", "a/b")


@pytest.mark.parametrize(
    "location",
    [
        "",
        "s3://",
        "s3://bucket",
        "s3://bucket/guests/",
        "s3://bucket/guests/logs",
        "s3://bucket/guests/logs/",
        "s3://bucket/logs/a",
        "s3://bucket/guests2/logs/a",
        "s3://bucket2/guests/logs/a",
        "s3://bucket/guests/logs/../../others/logs/a",
        "s3://bucket/guests/../logs/a",
        "s3://bucket/guests//a",
        "S3://bucket/guests/logs/a",
        "local://guests/logs/a",
        "http://store/bucket/guests/logs/a",
        " s3://bucket/guests/logs/a",
    ],
)
def test_a_foreign_location_is_refused(location: str) -> None:
    with pytest.raises(InvalidValue):
        Names.of("bucket", "guests/").located(location)


@pytest.mark.parametrize("name", ESCAPES, ids=repr)
def test_no_name_leaves_its_place(name: str) -> None:
    names = Names.of("bucket", "")

    with pytest.raises(InvalidValue):
        names.key("logs", name)
    with pytest.raises(InvalidValue):
        names.container(name)


def test_a_container_is_one_part_of_a_name() -> None:
    with pytest.raises(InvalidValue, match="must hold no /"):
        Names.of("bucket", "").container("a/b")


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", "a\0"])
def test_a_prefix_is_one_as_well(prefix: str) -> None:
    with pytest.raises(InvalidValue, match=r"\[s3\] prefix"):
        Names.of("bucket", prefix)


def test_a_key_is_as_long_as_s3_takes_it() -> None:
    names = Names.of("bucket", "")
    longest = "ü" * 509 + "x"

    assert len(names.key("logs", longest).encode()) == 1024
    with pytest.raises(InvalidValue, match="longer than 1024 bytes"):
        names.key("logs", f"{longest}x")
