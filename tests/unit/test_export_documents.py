"""JSON from strangers."""

from __future__ import annotations

import json

import pytest

from mobilesam import AnnotationError
from mobilesam.export import parse_document
from mobilesam.export.documents import MAX_DOCUMENT_BYTES, MIN_LIST_BYTES, MIN_VALUE_BYTES


@pytest.mark.parametrize("data", ['{"a": [1, 2.5, null]}', b'\xef\xbb\xbf{"a": [1, 2.5, null]}'])
def test_json_is_read_from_text_and_bytes(data):
    assert parse_document(data) == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    "data",
    [
        "",
        b"",
        "{",
        "{'a': 1}",
        b"\xff\xd8\xff\xe0",
        b"PK\x03\x04",
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_json_gets_one_clear_sentence(data):
    with pytest.raises(AnnotationError, match="not JSON"):
        parse_document(data)


def test_a_file_that_is_too_large_is_not_parsed():
    assert parse_document(json.dumps("x" * 100)) == "x" * 100
    with pytest.raises(AnnotationError, match="20 MB"):
        parse_document(b"[" * (MAX_DOCUMENT_BYTES + 1))


@pytest.mark.parametrize(
    ("unit", "least"),
    [("[],", MIN_LIST_BYTES), ("{},", MIN_LIST_BYTES), ("1,", MIN_VALUE_BYTES)],
)
def test_a_document_of_very_many_values_is_refused_before_it_is_parsed(unit, least, monkeypatch):
    most = 100 * least
    text = "[" + unit * (99 if least == MIN_LIST_BYTES else 100) + "1]"
    for content in (text, text.encode()):
        assert len(parse_document(content, most)) in (100, 101)
        monkeypatch.setattr(json, "loads", None)
        with pytest.raises(AnnotationError, match="too many values"):
            parse_document(content, most - 1)
        monkeypatch.undo()
