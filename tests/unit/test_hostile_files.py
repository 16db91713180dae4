"""Hundreds of malformed files: each is opened correctly or refused with one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mobilesam import ImageError
from mobilesam.images import Photo, open_photo
from tests.bad_files import BadFile, encoded, jpeg_segments, odd_shapes, picture
from tests.bombs import KINDS, directory_bombs
from tests.decoder_memory import SHRINK
from tests.serving import ROOT

pytestmark = pytest.mark.slow

MAX_PEAK_BYTES = 60_000_000


def outcome(folder: Path, file: BadFile) -> Photo | str:
    """The photo, or the sentence."""
    path = folder / "photo"
    path.write_bytes(file.data)
    try:
        return open_photo(path)
    except ImageError as error:
        return str(error)


def fault(file: BadFile, result: Photo | str) -> str | None:
    """What is wrong with the outcome, or None."""
    if isinstance(result, str):
        one_sentence = 10 < len(result) < 120 and "\n" not in result and "Error" not in result
        return "refused" if file.must_open else None if one_sentence else result
    if file.must_fail:
        return "opened"
    if result.pixels.dtype != np.uint8 or result.pixels.shape[2:] != (3,):
        return f"{result.pixels.dtype} {result.pixels.shape}"
    if file.pixels is None:
        return None
    if result.pixels.shape != file.pixels.shape:
        return f"{result.pixels.shape}"
    off = np.abs(result.pixels.astype(int) - file.pixels).max()
    return f"off by {off}" if off > file.tolerance else None


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_opened_correctly_or_refused_with_one_sentence(tmp_path, kind):
    faults = {file.name: fault(file, outcome(tmp_path, file)) for file in KINDS[kind]()}
    assert faults
    assert {name: what for name, what in faults.items() if what} == {}


def test_a_directory_with_many_tags_for_the_same_bytes_is_not_copied(tmp_path):
    """A file of one megabyte took gigabytes: of EXIF, of MPF, and of a TIFF's own."""
    for file in directory_bombs():
        if "1000 tags" in file.name:
            tracemalloc.start()
            result = outcome(tmp_path, file)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert fault(file, result) is None
            assert peak < MAX_PEAK_BYTES, file.name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Peak memory is read from /proc.")
def test_the_largest_photos_take_less_than_300_mb_each(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.decoder_memory"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    held_mb = json.loads(done.stdout)
    assert len(held_mb) > 15
    pixels_mb = 300 / SHRINK**2
    fixed_mb = 10  # what does not depend on the number of pixels
    assert {name: mb for name, mb in held_mb.items() if mb >= pixels_mb + fixed_mb} == {}
    assert max(held_mb.values()) > 0.8 * pixels_mb  # the measurement works


def test_the_orientation_of_a_jpeg_is_found_in_its_app_segments(tmp_path):
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    jpeg = encoded(picture(), "JPEG", quality=95)
    note = jpeg_segments(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    turned = jpeg[:2] + note + jpeg_segments(0xE1, exif, b"Exif\0\0") + jpeg[2:]
    (tmp_path / "turned.jpg").write_bytes(turned)
    photo = open_photo(tmp_path / "turned.jpg")
    assert photo.size_hw == (48, 32)
    assert np.abs(photo.pixels.astype(int) - np.rot90(picture(), -1)).max() < 60


def test_large_photos_are_converted_in_strips(tmp_path, monkeypatch):
    """Copies of the whole photo would take a gigabyte at 40 megapixels."""
    monkeypatch.setattr("mobilesam.images._STRIP_PIXELS", 100)  # two rows of the picture
    for file in [*KINDS["odd photos"](), *odd_shapes()]:
        assert fault(file, outcome(tmp_path, file)) is None, file.name
