"""Every source becomes upright uint8 RGB or one clear ImageError."""

from __future__ import annotations

import io
import math
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from mobilesam import ImageError, ImageLimits
from mobilesam.image_file import MAX_JPEG_SCANS
from mobilesam.images import open_photo
from tests.bad_files import ORIENTATION_TAG, picture, png_of

STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""EXIF orientation -> how a camera stores an upright picture."""


def save(folder: Path, image: Image.Image, name: str, **options) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def test_a_path_a_pil_image_and_an_array_give_the_same_photo(disc, tmp_path):
    path = save(tmp_path, Image.fromarray(disc), "disc.png")
    for source in (path, str(path), Image.fromarray(disc), disc):
        photo = open_photo(source)
        np.testing.assert_array_equal(photo.pixels, disc)
        assert photo.pixels.dtype == np.uint8
        assert photo.size_hw == (120, 180)
        assert photo.notes == ()


def test_a_photo_does_not_share_memory_with_the_array(disc):
    photo = open_photo(disc)
    before = photo.pixels.copy()
    disc[:] = 0
    np.testing.assert_array_equal(photo.pixels, before)


@pytest.mark.parametrize(("suffix", "tolerance"), [("png", 0), ("tiff", 0), ("jpg", 8)])
@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_becomes_upright(tmp_path, orientation, suffix, tolerance):
    upright = picture()
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
    photo = open_photo(save(tmp_path, stored, f"photo.{suffix}", exif=exif, **options))
    assert photo.size_hw == (32, 48)
    assert np.abs(photo.pixels.astype(int) - upright).max() <= tolerance


def test_a_pil_image_with_an_orientation_becomes_upright(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    path = save(
        tmp_path, Image.fromarray(np.ascontiguousarray(np.rot90(picture()))), "a.png", exif=exif
    )
    with Image.open(path) as image:
        np.testing.assert_array_equal(open_photo(image).pixels, picture())


def test_transparency_is_composited_over_white(tmp_path):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0] = [200, 0, 0, 255]
    rgba[1] = [200, 0, 0, 0]
    rgba[1, 2] = [0, 0, 0, 51]  # a fifth of black: 255 * 4 / 5
    pixels = open_photo(save(tmp_path, Image.fromarray(rgba), "rgba.png")).pixels
    assert pixels[0].tolist() == [[200, 0, 0]] * 3
    assert pixels[1].tolist() == [[255, 255, 255], [255, 255, 255], [204, 204, 204]]


def test_a_palette_with_a_transparent_colour_is_composited_over_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    path = save(tmp_path, palette, "palette.png", transparency=0)
    white, colour = [255, 255, 255], [40, 50, 60]
    assert open_photo(path).pixels.tolist() == [[white, colour], [colour, white]]


def test_sixteen_bits_are_scaled_from_their_whole_range(tmp_path):
    values = np.array([[0, 257, 128 * 257], [20_000, 40_000, 65_535]], np.uint16)
    pixels = open_photo(save(tmp_path, Image.fromarray(values), "deep.png")).pixels
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=2))


def test_grey_gets_three_equal_channels(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    pixels = open_photo(save(tmp_path, Image.fromarray(grey), "grey.png")).pixels
    np.testing.assert_array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["tiff", "jpg"])
def test_cmyk_is_turned_into_rgb(tmp_path, suffix):
    path = save(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), f"inks.{suffix}")
    assert np.abs(open_photo(path).pixels.astype(int) - [255, 0, 0]).max() <= 3


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 4 for a screen, built from its tags."""
    table, data = b"", b""
    start = 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"", 0x04300000, b"mntr", space, b"XYZ ")
    header += b"\0" * 12 + b"acsp" + b"\0" * 28
    header += struct.pack(">3i", 63190, 65536, 54061)  # the D50 white, in 1/65536
    return header.ljust(128, b"\0") + body


def numbers(kind: bytes, *values: float) -> bytes:
    return kind + b"\0" * 4 + struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def text(value: str) -> bytes:
    encoded = value.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def display_p3(name: str = "Display P3") -> bytes:
    """Display P3, with the primaries that Apple's own profile has, relative to D50."""
    curve = numbers(b"para\0\0\0\0\0\3", 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para\0\0\0\0\0\3\0\0" + curve[14:]
    return profile(
        b"RGB ",
        {
            b"desc": text(name),
            b"cprt": text("none"),
            b"wtpt": numbers(b"XYZ ", 0.9642, 1, 0.8249),
            b"rXYZ": numbers(b"XYZ ", 0.51512, 0.2412, -0.00105),
            b"gXYZ": numbers(b"XYZ ", 0.29198, 0.69225, 0.04189),
            b"bXYZ": numbers(b"XYZ ", 0.1571, 0.06657, 0.78407),
            b"rTRC": curve,
            b"gTRC": curve,
            b"bTRC": curve,
        },
    )


def halving_elements() -> bytes:
    """A multi-process element that halves all channels."""
    matrix = [0.5 if row == column else 0.0 for row in range(3) for column in range(3)]
    stage = b"matf" + struct.pack(">4x2H12f", 3, 3, *matrix, 0, 0, 0)
    return b"mpet" + struct.pack(">4x2HI2I", 3, 3, 1, 24, len(stage)) + stage


def grey_of_gamma_1() -> bytes:
    linear = b"curv\0\0\0\0\0\0\0\0"
    white = numbers(b"XYZ ", 0.9642, 1, 0.8249)
    return profile(b"GRAY", {b"desc": text("Linear"), b"wtpt": white, b"kTRC": linear})


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_the_colours_of_another_profile_become_srgb(tmp_path, suffix):
    stored = np.array([[[200, 100, 50], [90, 140, 120], [255, 255, 255], [0, 0, 0]]], np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    image = Image.fromarray(stored)
    path = save(tmp_path, image, f"p3.{suffix}", icc_profile=display_p3(), **options)
    # CSS Color 4: both have the curve of sRGB; linear P3 becomes linear sRGB by this matrix.
    matrix = [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]]
    encoded = stored / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.clip(linear @ np.transpose(matrix), 0, 1)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    pixels = open_photo(path).pixels
    assert np.abs(pixels - 255 * expected).max() <= 1.5
    assert np.abs(pixels.astype(int) - stored).max() >= 10


def test_grey_of_another_profile_becomes_srgb(tmp_path):
    path = save(tmp_path, Image.new("L", (4, 4), 55), "grey.png", icc_profile=grey_of_gamma_1())
    # Linear light of 55 / 255 is 1.055 * 0.2157 ** (1 / 2.4) - 0.055 = 0.502 in sRGB.
    assert np.abs(open_photo(path).pixels.astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 200,
        display_p3()[:150],
        display_p3("sRGB IEC61966-2.1"),
        grey_of_gamma_1(),
        display_p3() + b"\0" * 5_000_000,
    ],
    ids=["no profile", "truncated", "sRGB", "grey, for colours", "huge"],
)
def test_a_profile_that_is_srgb_or_of_no_use_changes_nothing(disc, tmp_path, data):
    path = save(tmp_path, Image.fromarray(disc), "disc.tiff", icc_profile=data)
    np.testing.assert_array_equal(open_photo(path).pixels, disc)


def test_a_photo_with_a_profile_keeps_its_orientation(tmp_path):
    upright = np.full((12, 20, 3), 128, np.uint8)
    upright[:4] = 200, 100, 50
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    image = Image.fromarray(STORED[6](upright))
    path = save(tmp_path, image, "turned.png", exif=exif, icc_profile=display_p3())
    pixels = open_photo(path).pixels
    assert pixels.shape == upright.shape
    assert (pixels[:4, :, 0] > 205).all()
    assert (np.abs(pixels[4:].astype(int) - 128) <= 1).all()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_only_the_first_frame_of_an_animation_is_used_with_a_note(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(
        tmp_path, frames[0], f"a.{suffix}", save_all=True, append_images=frames[1:], **options
    )
    photo = open_photo(path)
    assert (photo.pixels == [255, 0, 0]).all()
    assert any("first frame" in note for note in photo.notes)


def test_a_pil_image_at_a_later_frame_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = save(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        assert (open_photo(image).pixels == [255, 0, 0]).all()


def test_the_digest_depends_on_the_pixels_and_not_on_the_file(disc, tmp_path):
    png, bmp = (save(tmp_path, Image.fromarray(disc), f"disc.{kind}") for kind in ("png", "bmp"))
    assert png.read_bytes() != bmp.read_bytes()
    assert open_photo(png).digest == open_photo(bmp).digest == open_photo(disc).digest


def test_the_digest_changes_with_one_pixel(disc):
    changed = disc.copy()
    changed[5, 7, 1] ^= 1
    assert open_photo(disc).digest != open_photo(changed).digest


def test_the_digest_of_a_large_photo_depends_on_every_part_and_their_order():
    pixels = np.random.default_rng(0).integers(0, 255, (1000, 700, 3), dtype=np.uint8)
    changed = pixels.copy()
    changed[-1, -1, -1] += 1
    digests = [open_photo(image).digest for image in (pixels, changed, pixels[::-1], pixels.copy())]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_the_digest_changes_with_the_shape(disc):
    assert open_photo(disc).digest != open_photo(disc.reshape(60, 360, 3)).digest


@pytest.mark.parametrize("size", [(9_000, 9_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_any_is_decoded(tmp_path, monkeypatch, size):
    def load(*args):
        pytest.fail("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(*size))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="megapixels"):
            open_photo(path)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_of_pixels_applies_to_every_kind_of_source(disc, tmp_path):
    path = save(tmp_path, Image.fromarray(disc), "disc.png")
    pixels = disc.shape[0] * disc.shape[1]
    for source in (path, Image.fromarray(disc), disc):
        assert open_photo(source, ImageLimits(max_pixels=pixels)).size_hw == disc.shape[:2]
        with pytest.raises(ImageError, match="megapixels"):
            open_photo(source, ImageLimits(max_pixels=pixels - 1))


@pytest.mark.parametrize(
    ("name", "options", "kind", "share"),
    [
        ("disc.webp", {}, "WebP", 7.5 / 16),
        ("disc.jpg", {"progressive": True, "subsampling": "4:4:4"}, "progressive JPEG", 7.5 / 10),
        ("disc.jpg", {"progressive": True, "subsampling": "4:2:0"}, None, 1),
        ("disc.jpg", {"subsampling": "4:4:4"}, None, 1),
    ],
)
def test_formats_that_need_much_memory_have_a_lower_limit(
    disc, tmp_path, name, options, kind, share
):
    path = save(tmp_path, Image.fromarray(disc), name, **options)
    most = math.ceil(disc.shape[0] * disc.shape[1] / share)
    assert open_photo(path, ImageLimits(max_pixels=most + 2)).size_hw == disc.shape[:2]
    with pytest.raises(ImageError, match=kind or "Use a smaller one"):
        open_photo(path, ImageLimits(max_pixels=most - 2))


def test_the_limit_of_bytes_applies(disc, tmp_path):
    path = save(tmp_path, Image.fromarray(disc), "disc.png")
    size = path.stat().st_size
    assert open_photo(path, ImageLimits(max_bytes=size)).size_hw == disc.shape[:2]
    with pytest.raises(ImageError, match="larger than"):
        open_photo(path, ImageLimits(max_bytes=size - 1))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif"])
def test_a_truncated_file_is_refused(disc, tmp_path, suffix):
    path = save(tmp_path, Image.fromarray(disc), f"disc.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"damaged|not a photo"):
        open_photo(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", "empty", id="empty file"),
        pytest.param(b"no image at all " * 50, "not a photo", id="junk"),
        pytest.param(b"\xff\xd8\xff\xe0", "not a photo|damaged", id="four bytes of JPEG"),
        pytest.param(
            b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
            "not a photo",
            id="svg",
        ),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo", id="eps"),
        pytest.param(b"%PDF-1.4\n", "not a photo", id="pdf"),
    ],
)
def test_a_file_that_is_not_a_photo_is_refused(tmp_path, content, sentence):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=sentence):
        open_photo(path)


def test_a_pipe_is_not_opened(tmp_path):
    """Opening one without a writer would block."""
    os.mkfifo(tmp_path / "photo.jpg")
    with pytest.raises(ImageError, match="not a file"):
        open_photo(tmp_path / "photo.jpg")


def test_a_jpeg_with_far_too_many_scans_is_refused_before_decoding(tmp_path, monkeypatch):
    image = Image.effect_noise((64, 64), 50)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    scans = data.count(b"\xff\xda")
    assert scans > 1
    (tmp_path / "fine.jpg").write_bytes(data)
    assert open_photo(tmp_path / "fine.jpg").size_hw == (64, 64)

    last = data.rindex(b"\xff\xda")
    (tmp_path / "bomb.jpg").write_bytes(data[:last] + data[last:-2] * (MAX_JPEG_SCANS + 1))
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ImageError, match="scans"):
        open_photo(tmp_path / "bomb.jpg")


def test_the_pages_of_a_tiff_are_not_counted(tmp_path, monkeypatch):
    """Pillow searches all previous pages for each page: a long chain takes minutes."""
    path = tmp_path / "pages.tif"
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    counted = property(lambda _: pytest.fail("the pages were counted"))
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "n_frames", counted)
    photo = open_photo(path)
    assert photo.pixels[0, 0].tolist() == [255, 0, 0]
    assert "first frame" in photo.notes[0]


def test_another_format_is_refused_under_the_name_of_a_supported_one(tmp_path):
    path = save(tmp_path, Image.new("RGB", (8, 8)), "photo.ppm").rename(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="not a photo"):
        open_photo(path)


@pytest.mark.parametrize("name", ["missing.jpg", "", ".", "nul\0byte.jpg", "x" * 5000])
def test_a_path_that_cannot_be_opened_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="cannot be opened"):
        open_photo(name)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), bool),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_an_array_of_another_shape_or_dtype_is_refused(array):
    with pytest.raises(ImageError, match="uint8"):
        open_photo(array)


def test_a_pil_image_without_pixels_is_refused():
    with pytest.raises(ImageError):
        open_photo(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("source", [None, 7, b"bytes", io.BytesIO(b"x"), [[1, 2, 3]]])
def test_a_source_of_another_type_is_refused(source):
    with pytest.raises(ImageError, match="path"):
        open_photo(source)


def test_browser_agrees_only_if_browsers_show_the_same_pixels(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    rgb, rgba = Image.new("RGB", (8, 8)), Image.new("RGBA", (8, 8))
    agrees = {
        path.name: open_photo(path).browser_agrees
        for path in (
            save(tmp_path, rgb, "rgb.png"),
            save(tmp_path, rgb, "rotated.jpg", exif=exif),
            save(tmp_path, rgb, "rotated.png", exif=exif),
            save(tmp_path, rgba, "transparent.png"),
            save(tmp_path, rgb, "rgb.tiff"),
            save(tmp_path, Image.new("CMYK", (8, 8)), "inks.jpg"),
        )
    }
    assert agrees == {
        "rgb.png": True,
        "rotated.jpg": True,
        "rotated.png": False,
        "transparent.png": False,
        "rgb.tiff": False,
        "inks.jpg": False,
    }


def test_a_profile_with_multi_process_elements_is_not_used(tmp_path):
    """Some hundred bytes of them can keep the processor busy for hours."""
    data = profile(
        b"RGB ",
        {b"desc": text("Half"), b"wtpt": numbers(b"XYZ ", 1, 1, 1), b"D2B0": halving_elements()},
    )
    path = save(tmp_path, Image.new("RGB", (4, 4), (200, 100, 50)), "a.png", icc_profile=data)
    assert (open_photo(path).pixels == (200, 100, 50)).all()
