"""File names stay as they are, unless a file system refuses them."""

from __future__ import annotations

import os
import sys
import time

import pytest

from mobilesam.export.names import export_file_name, photo_file_name, safe_file_name

TRUE = [
    "IMG_0412 (1).jpg",
    "große Scheibe.PNG",
    "Screenshot 2026-01-02 at 3.04.05\u202fPM.png",  # as macOS calls them
    "Screenshot from 12:30:05.png",
    "100% #1 & [a]{b} 'c'.jpeg",
    "\u0633\u06af\u200c\u0647\u0627.jpg",
    "Cafe\u0301.jpg",  # not composed: the file on the disk is not either
    "👩\u200d💻.png",
    "archive.tar.jpg",
    "dots. and space .png",
    "noextension",
    ".hidden.png",
    "é" * 125 + ".png",
]


@pytest.mark.parametrize("name", TRUE)
def test_annotations_refer_to_the_very_name(name):
    assert photo_file_name(name) == name
    assert photo_file_name(f"/a/b/{name}") == photo_file_name(f"..\\b\\{name}") == name


@pytest.mark.parametrize("name", [name for name in TRUE if ":" not in name and name[0] != "."])
def test_labelme_finds_the_annotations_of_a_photo(name):
    """It looks for the name without its extension, and .json; see labelme/app.py."""
    assert export_file_name(name, ".json") == os.path.splitext(name)[0] + ".json"


@pytest.mark.parametrize(
    ("name", "in_annotations", "exported"),
    [
        ("IMG_0412 (1).jpg", "IMG_0412 (1).jpg", "IMG_0412 (1)-mask.png"),
        ("12:30?.png", "12:30?.png", "12_30_-mask.png"),
        ("C:evil.jpg", "C_evil.jpg", "C_evil-mask.png"),
        ("a\x00b\n\x7f.png", "a_b__.png", "a_b__-mask.png"),
        ("line\u2028end.png", "line_end.png", "line_end-mask.png"),
        ("\u202egnp.exe.png", "_gnp.exe.png", "_gnp.exe-mask.png"),
        ("\ud800.png", "_.png", "_-mask.png"),
        ("..", "photo.jpg", "photo-mask.png"),
        ("", "photo.jpg", "photo-mask.png"),
        ("/", "photo.jpg", "photo-mask.png"),
        ("...png", "...png", "_..png-mask.png"),
        (".png", ".png", "_png-mask.png"),
    ],
)
def test_only_what_a_file_system_refuses_is_replaced(name, in_annotations, exported):
    assert photo_file_name(name) == in_annotations
    assert export_file_name(name, "-mask.png") == exported


@pytest.mark.parametrize(
    "name", ["CON", "nul.txt", "Aux.tar.gz", "com1", "LPT9 .x", "COM²", "conin$"]
)
def test_no_file_is_a_device_of_windows(name):
    assert safe_file_name(os.path.splitext(name)[0], ".json").startswith("_")
    assert export_file_name(f"{name}.jpg", ".json").startswith("_")


@pytest.mark.parametrize("name", ["CONSOLE", "nullable", "COM10", "my con"])
def test_names_that_only_begin_like_a_device_stay(name):
    assert export_file_name(f"{name}.jpg", ".json") == f"{name}.json"


@pytest.mark.parametrize("letter", ["x", "é", "猫", "😀", "e\u0301"])
def test_long_names_are_cut_between_characters_and_keep_their_suffix(letter):
    for count in (250, 255, 10_000):
        name = photo_file_name(letter * count + ".jpeg")
        exported = export_file_name(letter * count + ".jpeg", "-coco-polygons.json")
        assert name.endswith((f"{letter[0]}.jpeg", f"{letter}.jpeg"))
        assert exported.endswith("-coco-polygons.json")
        for one in (name, exported):
            assert 250 < len(one.encode()) <= 255
    assert len(photo_file_name("a." + letter * 10_000).encode()) <= 255


@pytest.mark.parametrize(
    "text", ["a/" * 500_000, "\u202e" * 1_000_000, "." * 1_000_000, " con" * 250_000]
)
def test_names_of_a_megabyte_take_no_time(text):
    began = time.thread_time()
    export_file_name(text, ".json")
    assert time.thread_time() - began < 2


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse some of them")
@pytest.mark.parametrize("name", [*TRUE, "\ud800", "😀" * 100, "..", "a/b", "NUL"])
def test_every_exported_name_can_be_written(tmp_path, name):
    (tmp_path / export_file_name(name, "-coco-polygons.json")).write_bytes(b"")
    assert len(os.listdir(tmp_path)) == 1
