"""ZIP files of annotations: their members, damaged ones and bombs."""

from __future__ import annotations

import tracemalloc
import zipfile

import pytest

from mobilesam import AnnotationError
from mobilesam.export import annotation_files as files_module
from mobilesam.export import (
    read_annotations,
)
from tests.annotations import FLOWER, labelme, zipped


def test_photos_archives_and_hidden_files_in_a_zip_are_ignored():
    inner = zipped({"flower.json": labelme({})})
    files = {
        "flower.json": labelme({}),
        "inner.zip": inner,
        "flower.jpg": b"\xff\xd8",
        "__MACOSX/._flower.json": b"\0\5",
        "../../flower.json": labelme({}),
        "broken.json": b"{",
        "other.json": b"{}",
        "folder.json/": b"",
    }
    imported = read_annotations(zipped(files), "all.zip", [FLOWER])
    assert len(imported.objects[0]) == 2
    assert imported.skipped == {"files without masks": 2}


def test_encrypted_and_damaged_members_are_counted():
    data = bytearray(zipped({"a.json": labelme({}), "b.json": labelme({}), "c.json": labelme({})}))
    photos = [FLOWER]
    first = data.index(b"PK\x01\x02")
    data[first + 8] |= 1  # the flag of an encrypted member
    second = data.index(b"b.json") + 40
    data[second : second + 9] = b"123456789"
    imported = read_annotations(bytes(data), "all.zip", photos)
    assert len(imported.objects[0]) == 1
    assert imported.skipped == {"encrypted files": 1, "damaged files": 1}


def test_unusual_compressions_are_not_used():
    data = zipped({"a.json": labelme({})}, zipfile.ZIP_LZMA)
    with pytest.raises(AnnotationError, match="contains no masks"):
        read_annotations(data, "all.zip", [FLOWER])


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(files_module, "MAX_UNPACKED_BYTES", 10_000_000)
    embedded = b'{"imageData": "' + b"A" * 4_000_000 + b'", "shapes": []}'
    data = zipped({f"{n}.json": embedded for n in range(4)} | {"9.json": b"A" * 40_000_000})
    for bomb in (data, zipped({"9.json": b"A" * 40_000_000})):
        tracemalloc.start()
        try:
            with pytest.raises(AnnotationError, match=r"more than 10 MB\. Split"):
                read_annotations(bomb, "bomb.zip", [FLOWER])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 30_000_000


def test_text_in_a_zip_is_limited_together():
    data = zipped({f"{n}.txt": b"0 " * 4_000_000 for n in range(3)})
    with pytest.raises(AnnotationError, match="more than 20 MB"):
        read_annotations(data, "a.zip", [FLOWER])


def test_a_zip_of_very_many_files_is_refused(monkeypatch):
    monkeypatch.setattr(files_module, "MAX_MEMBERS", 5)
    data = zipped({f"{n}.json": labelme({}) for n in range(6)})
    with pytest.raises(AnnotationError, match="more than 5 files"):
        read_annotations(data, "a.zip", [FLOWER])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"PK\x05\x06" + b"\xff" * 18,
        b"PK",
        zipped({}),
        b"{}",
        b"\xff\xd8",
        b"[1",
    ],
    ids=["empty", "cut off", "no directory", "two letters", "empty zip", "object", "photo", "list"],
)
def test_a_file_without_annotations_gets_a_sentence(data):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(data, "a.json", [FLOWER])
    assert len(str(caught.value)) < 200
