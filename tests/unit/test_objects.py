"""Named objects: names, checks, and masks that do not overlap."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mobilesam import PhotoObject, PromptError
from mobilesam.objects import checked_name, remove_overlaps

MASK = np.ones((3, 4), bool)


def overlapping(*predicted_ious: float | None) -> list[PhotoObject]:
    """Objects named 0, 1, ... over columns 0-3, 1-4, ... of a photo of one row."""
    objects = []
    for index, predicted_iou in enumerate(predicted_ious):
        mask = np.zeros((1, len(predicted_ious) + 3), bool)
        mask[0, index : index + 4] = True
        objects.append(PhotoObject(str(index), mask, predicted_iou))
    return objects


def owners(objects: list[PhotoObject], keep: str) -> str:
    """The name of the object that each pixel belongs to; fails if a pixel belongs to two."""
    objects = remove_overlaps(objects, keep)
    masks = np.stack([item.mask for item in objects])
    assert (masks.sum(axis=0) == 1).all()
    return "".join(objects[index].name for index in masks.argmax(axis=0).ravel())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cat", "cat"),
        ("  my \t cat \r\n", "my cat"),
        ("line\u2028break\x00", "line break"),
        ("re\u202every\u200b", "revery"),
        ("a \x07 b", "a b"),
        ("half \ud83d of a face", "half of a face"),
        ("Bär 猫 😀", "Bär 猫 😀"),
        ("x" * 80 + "\x00 ", "x" * 80),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),  # Hindi
        ("\u0d05\u0d35\u0d28\u0d4d\u200d x", "\u0d05\u0d35\u0d28\u0d4d\u200d x"),  # Malayalam
        ("\u0644\u200d\u0647", "\u0644\u200d\u0647"),  # Arabic
        (
            "\U0001f469\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525",
            "\U0001f469\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525",
        ),
        ("\u200dcat\u200c \u200c\u200d dog\u200d", "cat dog"),
        ("a\u200c\u200d\u200cb", "a\u200cb"),
        ("\u2067\u0645\u06cc\u200c\u062e\u2069\u200f", "\u0645\u06cc\u200c\u062e"),
        ("Cafe\u0301 Ba\u0308r", "Caf\xe9 B\xe4r"),
        ("\u1112\u1161\u11ab", "\ud55c"),  # Hangul
        ("e\u202e\u0301", "\xe9"),  # composes once the control is gone
        ("\u2126", "\u03a9"),  # ohm
    ],
)
def test_a_name_is_one_printable_line(given, kept):
    assert checked_name(given) == kept
    assert checked_name(kept) == kept
    assert PhotoObject(given, MASK).name == kept


@pytest.mark.parametrize(
    "name",
    ["", " \n", "\x00\u200b", "\u200c", " \u200d \u200d", "x" * 81, None, 7, b"cat", ["cat"]],
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(PromptError, match="name"):
        PhotoObject(name, MASK)


@pytest.mark.parametrize("unit", ["a\u200c", "\u0301\u0316", "\U0001f469\u200d"])
def test_a_name_of_megabytes_is_refused_at_once(unit):
    began = time.thread_time()
    with pytest.raises(PromptError, match="at most 80"):
        checked_name(unit * 2_000_000)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    "mask", [None, [[True]], MASK.astype(np.uint8), MASK[0], MASK[None], MASK[:0]]
)
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(PromptError, match="mask"):
        PhotoObject("cat", mask)


@pytest.mark.parametrize("iou", [float("nan"), float("-inf"), 10**400, "0.9", True, [0.9]])
def test_what_is_no_predicted_iou_is_refused(iou):
    with pytest.raises(PromptError, match="finite"):
        PhotoObject("cat", MASK, iou)


@pytest.mark.parametrize(
    "colour", ["", "red", "#12345", "#12345g", "#123456\n", 0x123456, ["#123456"]]
)
def test_what_is_no_colour_is_refused(colour):
    with pytest.raises(PromptError, match='A colour must be like "#1e8aff"'):
        PhotoObject("cat", MASK, colour=colour)


def test_a_colour_survives_the_removal_of_overlaps():
    (item,) = remove_overlaps([PhotoObject("cat", MASK, colour="#12Ab3f")], "later")
    assert item.colour == "#12Ab3f"


def test_a_predicted_iou_of_numpy_becomes_a_plain_number():
    assert type(PhotoObject("cat", MASK, np.float32(0.5)).predicted_iou) is float


def test_the_later_object_keeps_the_pixels_of_an_overlap():
    assert owners(overlapping(0.9, 0.1, None), "later") == "012222"


@pytest.mark.parametrize(
    ("ious", "expected"),
    [
        ((0.9, 0.1, 0.5), "000022"),
        ((0.1, 0.5, 0.9), "012222"),
        ((0.1, 0.9, None), "011112"),
        ((-3.0, None, None), "000022"),
        ((0.5, 0.5, 0.5), "012222"),
    ],
)
def test_the_higher_predicted_iou_keeps_the_pixels_of_an_overlap(ious, expected):
    assert owners(overlapping(*ious), "predicted_iou") == expected


def test_removing_overlaps_keeps_order_names_and_estimates_and_leaves_its_input_alone():
    before = [PhotoObject("under", MASK, 0.5), PhotoObject("over", MASK, 0.75)]
    after = remove_overlaps(before, "later")
    assert [(item.name, item.predicted_iou) for item in after] == [("under", 0.5), ("over", 0.75)]
    assert [bool(item.mask.any()) for item in after] == [False, True]
    assert [bool(item.mask.all()) for item in before] == [True, True]


def test_overlaps_of_masks_of_two_sizes_and_unknown_rules_are_refused():
    with pytest.raises(PromptError, match="4 x 3"):
        remove_overlaps([PhotoObject("wide", MASK.T), PhotoObject("cat", MASK)], "later")
    with pytest.raises(PromptError, match="Overlaps"):
        remove_overlaps([PhotoObject("cat", MASK)], "first")


def test_an_object_returns_its_mask_size_and_area():
    mask = np.arange(12).reshape(3, 4) > 4
    item = PhotoObject("cat", mask)
    np.testing.assert_array_equal(item.mask, mask)
    assert (item.size_hw, item.area) == ((3, 4), 7)
    assert PhotoObject("empty", ~MASK).area == 0
