"""Masks as pictures: exact values, and nothing of the photo beyond the mask."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mobilesam import PhotoObject, PromptError
from mobilesam.export import ClassList, cutout_png, export_file, mask_png
from mobilesam.export.pictures import classes_csv, index_png
from mobilesam.images import open_photo
from tests.shapes import fifty_masks


@pytest.fixture
def ring() -> np.ndarray:
    """(120, 180) bool: a ring around the disc's centre, with a hole."""
    rows, columns = np.mgrid[:120, :180]
    distance = np.hypot(rows - 60, columns - 90)
    return (distance < 25) & (distance > 10)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return image


def test_the_mask_is_255_inside_and_0_outside_at_its_own_size(ring):
    image = opened(mask_png(ring))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.array(image), np.where(ring, 255, 0))


def test_the_cutout_is_cropped_to_the_mask(disc, ring):
    image = opened(cutout_png(open_photo(disc), ring))
    rows, columns = np.nonzero(ring)
    assert image.mode == "RGBA"
    assert image.size == (np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_the_cutout_shows_the_photo_inside_and_nothing_outside(disc, ring):
    rgba = np.array(opened(cutout_png(open_photo(disc), ring)))
    rows, columns = np.nonzero(ring)
    crop = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    inside = ring[crop]
    np.testing.assert_array_equal(rgba[..., 3], np.where(inside, 255, 0))
    np.testing.assert_array_equal(rgba[inside][:, :3], disc[crop][inside])


def test_transparent_pixels_of_the_cutout_carry_no_colour(disc, ring):
    rgba = np.array(opened(cutout_png(open_photo(disc), ring)))
    assert (rgba[..., 3] == 0).any()
    assert not rgba[rgba[..., 3] == 0].any()


def test_a_cutout_of_the_whole_photo_is_the_photo(disc):
    rgba = np.array(opened(cutout_png(open_photo(disc), np.ones(disc.shape[:2], bool))))
    np.testing.assert_array_equal(rgba[..., :3], disc)


def test_an_empty_mask_has_nothing_to_cut_out(disc):
    with pytest.raises(PromptError, match="empty"):
        cutout_png(open_photo(disc), np.zeros(disc.shape[:2], bool))


@pytest.mark.parametrize("name", fifty_masks())
def test_pillow_reads_mask_and_index_pictures_exactly(name):
    mask = fifty_masks()[name]
    np.testing.assert_array_equal(np.array(opened(mask_png(mask))) == 255, mask)
    np.testing.assert_array_equal(np.array(opened(index_png([PhotoObject("a", mask)]))) == 1, mask)


def cutouts_zip(photo, objects) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(export_file("cutouts_zip", photo, objects, "a.png")[1]))


def columns(first: int, end: int, name: str = "thing") -> PhotoObject:
    """An object over columns of a photo of 20 x 300."""
    mask = np.zeros((20, 300), bool)
    mask[:, first:end] = True
    return PhotoObject(name, mask)


def test_a_pixel_of_the_index_picture_is_the_place_of_the_last_object_there():
    image = opened(index_png([columns(0, 5), columns(3, 9), columns(8, 10)]))
    assert image.mode == "P"
    row = [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 0]
    np.testing.assert_array_equal(np.array(image)[:, :11], [row] * 20)


def test_the_index_picture_shows_each_object_in_its_colour_or_the_next_of_the_palette():
    mask = np.zeros((20, 300), bool)
    mask[:, 20:30] = True
    objects = [columns(0, 10), PhotoObject("b", mask, colour="#0A0b0c"), columns(40, 50)]
    shown = np.array(opened(index_png(objects)).convert("RGB"))
    # The blue and the green that the page gives a first and a third object.
    for column, colour in ((5, (30, 138, 255)), (25, (10, 11, 12)), (45, (34, 197, 94))):
        assert tuple(shown[3, column]) == colour
    assert not shown[:, 60:].any()


def test_the_index_picture_holds_255_objects_and_no_more():
    many = [columns(index, index + 1) for index in range(256)]
    assert np.array(opened(index_png(many[:255]))).max() == 255
    with pytest.raises(PromptError, match="255"):
        index_png(many)


def test_the_zip_holds_every_cut_out_but_those_of_empty_masks(disc, ring):
    photo = open_photo(disc)
    objects = [
        PhotoObject("ring", ring),
        PhotoObject("nothing", ring & ~ring),
        PhotoObject("all", ring | ~ring),
    ]
    with cutouts_zip(photo, objects) as archive:
        assert archive.namelist() == ["1-ring.png", "3-all.png"]
        assert archive.read("1-ring.png") == cutout_png(photo, ring)
        assert archive.read("3-all.png") == cutout_png(photo, ring | ~ring)


def test_names_in_the_zip_are_safe_and_unique(disc, ring):
    names = [
        "../../etc/passwd",
        "C:\\x",
        "cat",
        "Cat",
        "cat",
        "NUL",
        "...",
        "/",
        "猫 Bär",
        "a" * 80,
    ]
    objects = [PhotoObject(name, ring) for name in names]
    with cutouts_zip(open_photo(disc), objects) as archive:
        assert archive.namelist() == [
            "1-.._.._etc_passwd.png",
            "2-C__x.png",
            "3-cat.png",
            "4-Cat.png",
            "5-cat.png",
            "6-NUL.png",
            "7-....png",
            "8-_.png",
            "9-猫 Bär.png",
            f"10-{'a' * 80}.png",
        ]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a; =1", "a;' =1"),
        ('"=1', '"=1'),
        ("traffic-light", "traffic-light"),
        ("a=b, c@d; e+f", "a=b, c@d; e+f"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_no_name_in_the_legend_is_a_formula_of_a_spreadsheet(name, cell):
    rows = list(csv.reader(classes_csv(ClassList([name])).splitlines()))
    assert rows[2][1] == cell
