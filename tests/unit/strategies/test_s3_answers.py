"""What the store says, and what somebody says who is none."""

import pytest
from guestagent_s3 import answers
from guestagent_s3.answers import Complaint, Entry

from guestagent.contract.errors import StorageError

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE Error [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Error><Code>&b;</Code></Error>"""
OUTSIDE = b"""<!DOCTYPE Error [<!ENTITY a SYSTEM "file:///etc/passwd">]><Error><Code>&a;</Code></Error>"""

NO_ANSWERS = [
    b"",
    b"hello",
    b"<html>",
    b"<html></html>",
    b"<Error>",
    b"\xff\xfe\x00",
    b'<?xml version="1.0" encoding="nonsense"?><Error/>',
    BOMB,
    BOMB.decode().replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"),
    OUTSIDE,
]


@pytest.mark.parametrize("namespace", ["", NAMESPACE])
def test_a_complaint_has_its_code_and_its_message(namespace: str) -> None:
    content = f"<Error {namespace}><Code>SlowDown</Code><Message>Less, &amp; slower.</Message></Error>".encode()

    assert answers.complaint(content) == Complaint("SlowDown", "Less, & slower.")


def test_spaces_that_keep_a_connection_alive_are_no_answer() -> None:
    content = b'  \r\n <?xml version="1.0"?><Error><Code>InternalError</Code></Error>'

    assert answers.complaint(content) == Complaint("InternalError")


@pytest.mark.parametrize("content", NO_ANSWERS)
def test_what_is_no_answer_is_no_complaint_and_no_list(content: bytes) -> None:
    assert answers.complaint(content) is None
    for read in (answers.page, answers.upload_id, answers.completed_etag):
        with pytest.raises(StorageError, match="Asking failed"):
            read("Asking", content)


def test_a_page_has_what_is_on_it_and_how_it_goes_on() -> None:
    content = f"""<ListBucketResult {NAMESPACE}><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <NextContinuationToken>to/ken=</NextContinuationToken>
        <Contents><Key>a+b%20c%2Bd%0A%C3%BC</Key><Size>12</Size><ETag>"x"</ETag></Contents>
        <Contents><Key>e</Key></Contents></ListBucketResult>""".encode()

    page = answers.page("Asking", content)

    assert page.entries == [Entry("a b c+d\nü", 12, '"x"'), Entry("e", None, "")]
    assert page.token == "to/ken="


def test_names_that_were_not_escaped_stay_as_they_are() -> None:
    content = b"<ListBucketResult><Contents><Key>a+b%20c</Key></Contents></ListBucketResult>"

    page = answers.page("Asking", content)

    assert [entry.key for entry in page.entries] == ["a+b%20c"]
    assert page.token is None


def test_a_list_that_ends_without_an_end_is_an_error() -> None:
    content = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"

    with pytest.raises(StorageError, match="how it goes on"):
        answers.page("Asking", content)


def test_an_upload_without_an_id_is_an_error() -> None:
    with pytest.raises(StorageError, match="no id"):
        answers.upload_id("Asking", b"<InitiateMultipartUploadResult/>")


def test_an_upload_ends_with_its_parts_in_their_order() -> None:
    assert answers.completion(["a", "<b>"]) == (
        b"<CompleteMultipartUpload>"
        b'<Part><PartNumber>1</PartNumber><ETag>"a"</ETag></Part>'
        b'<Part><PartNumber>2</PartNumber><ETag>"&lt;b&gt;"</ETag></Part>'
        b"</CompleteMultipartUpload>"
    )
