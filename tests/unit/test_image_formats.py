"""AVIF and HEIC, and PNGs whose metadata Pillow refuses."""

from __future__ import annotations

import importlib
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, features

import mobilesam.images
from mobilesam import ImageError, ImageLimits
from mobilesam.images import FORMATS, open_photo
from tests.bad_files import ORIENTATION_TAG, encoded, picture
from tests.unit.test_images import STORED, display_p3

needs_avif = pytest.mark.skipif(
    "avif" not in features.get_supported(), reason="this Pillow cannot read AVIF"
)


def photo_of(folder, data: bytes, **limits: int):
    path = folder / "photo"
    path.write_bytes(data)
    return open_photo(path, ImageLimits(**limits))


@needs_avif
def test_avif_is_read_with_its_orientation_profile_and_transparency(tmp_path):
    upright = picture()
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored = Image.fromarray(np.ascontiguousarray(STORED[6](upright)))
    options = {"quality": 100, "subsampling": "4:4:4"}
    photo = photo_of(tmp_path, encoded(stored, "AVIF", exif=exif, **options))
    assert photo.format == "AVIF"
    assert np.abs(photo.pixels.astype(int) - upright).max() <= 8

    orange = Image.new("RGB", (16, 16), (200, 100, 50))
    photo = photo_of(tmp_path, encoded(orange, "AVIF", icc_profile=display_p3(), **options))
    assert (photo.pixels[..., 0] > 205).all()

    clear = photo_of(tmp_path, encoded(Image.new("RGBA", (16, 16)), "AVIF", **options))
    assert (clear.pixels == 255).all()
    assert not clear.browser_agrees


@needs_avif
def test_only_the_first_frame_of_a_moving_avif_is_used_with_a_note(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("black", "white")]
    data = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    photo = photo_of(tmp_path, data)
    assert photo.notes == ("Animated AVIF: only its first frame is used.",)
    assert photo.pixels.max() <= 2


@needs_avif
def test_a_damaged_and_a_large_avif_get_one_sentence(tmp_path):
    data = encoded(picture(), "AVIF")
    with pytest.raises(ImageError, match="damaged"):
        photo_of(tmp_path, data[: len(data) * 2 // 3])
    with pytest.raises(ImageError, match="AVIF with more than"):
        photo_of(tmp_path, data, max_pixels=32 * 48)


def heic_start(brand: bytes) -> bytes:
    return struct.pack(">I4s4sI", 20, b"ftyp", brand, 0) + b"mif1" + b"\0" * 200


@pytest.mark.skipif("HEIF" in FORMATS, reason="pi-heif is installed")
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_heic_without_its_extra_gets_a_sentence_what_to_do(tmp_path, brand):
    with pytest.raises(ImageError, match=r"as a JPEG, or install requirements-heic.txt"):
        photo_of(tmp_path, heic_start(brand))


def test_another_file_of_the_same_container_is_no_photo(tmp_path):
    with pytest.raises(ImageError, match="not a photo that can be read"):
        photo_of(tmp_path, heic_start(b"isom"))


class StubHeif(ImageFile.ImageFile):
    """Stands for pi-heif: the pixels follow the brand."""

    format = "HEIF"
    is_animated = True  # pi-heif says so of files with several pictures, such as Apple's

    def _open(self) -> None:
        self._size, self._mode = (3, 2), "RGB"
        self.tile = [ImageFile._Tile("raw", (0, 0, 3, 2), 16, "RGB")]

    def seek(self, frame: int) -> None:
        raise AssertionError("The first picture may not be the primary one.")


@pytest.fixture
def with_heic(tmp_path, monkeypatch):
    """The module as it is where pi-heif is installed."""
    (tmp_path / "pi_heif.py").write_text(
        "def register_heif_opener(**options):\n"
        "    from PIL import Image\n"
        "    from tests.unit.test_image_formats import StubHeif\n"
        "    Image.register_open('HEIF', StubHeif, lambda start: start[4:12] == b'ftypheic')\n"
        "    assert options == dict.fromkeys(('thumbnails', 'depth_images', 'aux_images'), False)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pi_heif", raising=False)
    formats, openers = list(Image.ID), dict(Image.OPEN)
    yield importlib.reload(mobilesam.images)
    monkeypatch.undo()
    sys.modules.pop("pi_heif", None)
    Image.ID[:] = formats
    Image.OPEN.clear()
    Image.OPEN.update(openers)
    importlib.reload(mobilesam.images)


def test_heic_is_read_with_its_extra(tmp_path, with_heic):
    assert "HEIF" in with_heic.FORMATS
    path = tmp_path / "IMG_0412.HEIC"
    path.write_bytes(struct.pack(">I8sI", 16, b"ftypheic", 0) + bytes(range(18)))
    photo = with_heic.open_photo(path)
    assert photo.pixels.ravel().tolist() == list(range(18))
    assert photo.notes == ()
    assert not photo.browser_agrees  # most browsers cannot show it


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    body = kind + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


LONG = zlib.compress(b"a workflow of a generator " * 100_000)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iCCP", b"large\0\0" + zlib.compress(display_p3() + bytes(1_100_000))),
        (b"iCCP", b"broken\0\0" + b"no zlib"),
        (b"zTXt", b"workflow\0\0" + LONG),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
        (b"tEXt", b"prompt\0" + b"a" * 3_000_000),
    ],
    ids=["profile", "broken profile", "text", "XMP", "plain text"],
)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_large_metadata_of_a_png_is_ignored(tmp_path, kind, content, at_the_end):
    png = encoded(picture(), "PNG")
    data = with_chunk(png, kind, content)
    if at_the_end and kind != b"iCCP":
        data = png[:-12] + data[33 : len(data) - len(png) + 33] + png[-12:]
    np.testing.assert_array_equal(photo_of(tmp_path, data).pixels, picture())


def test_a_profile_of_usual_size_is_still_used(tmp_path):
    orange = Image.new("RGB", (16, 16), (200, 100, 50))
    data = encoded(orange, "PNG", icc_profile=display_p3() + bytes(900_000))
    assert (photo_of(tmp_path, data).pixels[..., 0] > 205).all()


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "TIFF"])
def test_large_profiles_of_other_formats_are_no_damage(tmp_path, file_format):
    data = encoded(picture(), file_format, icc_profile=display_p3() + bytes(1_100_000))
    assert photo_of(tmp_path, data).size_hw == (32, 48)


@pytest.mark.slow
def test_a_png_of_a_million_chunks_is_refused_as_before(tmp_path):
    png = encoded(picture(), "PNG")
    empty = struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt"))
    with pytest.raises(ImageError, match="too many parts"):
        photo_of(tmp_path, png[:33] + empty * 1_000_000 + png[33:])


def test_a_damaged_png_stays_damaged(tmp_path):
    png = encoded(picture(), "PNG")
    for data in (png[:60], png[:8] + b"\xff" * 40, io.BytesIO(png).read(20)):
        with pytest.raises(ImageError):
            photo_of(tmp_path, data)
