"""What the store says in XML: read with limits, because who says it may be anybody."""

import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from guestagent.contract.errors import StorageError

LONGEST: Final = 1 << 23
"""Bytes of the longest answer; a page of a thousand names, all of them escaped, is half of it."""
LONGEST_ERROR: Final = 1 << 16


class Complaint(msgspec.Struct, frozen=True):
    """Why the store refuses.

    :ivar code: for programs, for example ``SlowDown``; empty: it says none.
    :ivar message: for people.
    :ivar region: the one that the request should have been signed for, if that is why.
    """

    code: str = ""
    message: str = ""
    region: str = ""


class Entry(msgspec.Struct, frozen=True):
    """What a list says of an object.

    :ivar size: in bytes; none: it does not say.
    :ivar etag: as it says it.
    """

    key: str
    size: int | None
    etag: str


class Page(msgspec.Struct, frozen=True):
    """Some of the objects of a bucket.

    :ivar token: asks for the next page; none: there is none.
    """

    entries: list[Entry]
    token: str | None


def complaint(content: bytes) -> Complaint | None:
    """What an error says; none: it is no error, or one in no words that we know."""
    root = _tree(content)
    if root is None or _local(root) != "Error":
        return None
    return Complaint(_text(root, "Code"), _text(root, "Message"), _text(root, "Region"))


def page(what: str, content: bytes) -> Page:
    """A page of a list."""
    root = _expected(what, content, "ListBucketResult")
    escaped = _text(root, "EncodingType") == "url"
    entries = [_entry(found, escaped) for found in _children(root, "Contents")]
    if _text(root, "IsTruncated") != "true":
        return Page(entries, None)
    if not (token := _text(root, "NextContinuationToken")):
        raise StorageError(subject=what, problem="the store breaks its list off and does not say how it goes on")
    return Page(entries, token)


def upload_id(what: str, content: bytes) -> str:
    """What the parts of an upload that was begun are sent with."""
    if found := _text(_expected(what, content, "InitiateMultipartUploadResult"), "UploadId"):
        return found
    raise StorageError(subject=what, problem="the store begins an upload and gives it no id")


def completed_etag(what: str, content: bytes) -> str:
    """What the store knows an object by that was sent in parts."""
    return _text(_expected(what, content, "CompleteMultipartUploadResult"), "ETag")


def completion(etags: list[str]) -> bytes:
    """What ends an upload: its parts, from the first on."""
    root = ElementTree.Element("CompleteMultipartUpload")
    for number, etag in enumerate(etags, 1):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = f'"{etag}"'
    return ElementTree.tostring(root)


class _Builder(ElementTree.TreeBuilder):
    """Takes no document type, and so nothing that expands or lies elsewhere."""

    def doctype(self, name: str, public: Any, system: Any) -> None:
        raise ElementTree.ParseError("a document type")


def _tree(content: bytes) -> "ElementTree.Element | None":
    try:
        return ElementTree.XML(content.strip(), ElementTree.XMLParser(target=_Builder()))  # noqa: S314
    except (ElementTree.ParseError, LookupError, ValueError):
        return None  # LookupError, ValueError: an encoding that Python does not have or that does not fit


def _entry(found: "ElementTree.Element", escaped: bool) -> Entry:
    key, size = _text(found, "Key"), _text(found, "Size")
    if escaped:
        # Amazon writes a space as +, others as %20; a + of a name is %2B everywhere.
        key = urllib.parse.unquote_plus(key)
    return Entry(key, int(size) if size.isascii() and size.isdigit() else None, _text(found, "ETag"))


def _expected(what: str, content: bytes, name: str) -> "ElementTree.Element":
    root = _tree(content)
    if root is None or _local(root) != name:
        raise StorageError(subject=what, problem=f"the store answers with something else than {name}")
    return root


def _local(element: "ElementTree.Element") -> str:
    """Its name without its namespace: some stores leave that out."""
    return element.tag.rpartition("}")[2]


def _children(element: "ElementTree.Element", name: str) -> "Iterator[ElementTree.Element]":
    return (child for child in element if _local(child) == name)


def _text(element: "ElementTree.Element", name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "")
