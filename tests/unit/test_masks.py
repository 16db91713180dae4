"""Counting and coding of masks, against pycocotools and numpy; codes from strangers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam import AnnotationError, masks
from mobilesam.masks import (
    checked_rle,
    mask_bounds_xyxy,
    mask_crop,
    mask_from_coco_rle,
    mask_to_coco_rle,
    mask_to_json,
    rle_area,
    rle_from_crop,
    scaled_mask,
)
from tests.shapes import fifty_masks


def masks_by_name() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    blob = np.zeros((37, 53), bool)
    blob[4:20, 11:30] = random.random((16, 19)) < 0.7
    one = np.zeros((37, 53), bool)
    one[36, 52] = True
    first = np.zeros((37, 53), bool)
    first[0, 0] = True
    return {
        "blob": blob,
        "noise": random.random((37, 53)) < 0.5,
        "last pixel": one,
        "first pixel": first,
        "row": np.eye(1, 53, 7, dtype=bool),
        "column": np.eye(1, 37, 7, dtype=bool).T,
        "empty": np.zeros((37, 53), bool),
        "full": np.ones((37, 53), bool),
        "not contiguous": blob[::-2, ::3],
    }


@pytest.fixture(params=masks_by_name())
def mask(request) -> np.ndarray:
    return masks_by_name()[request.param]


def test_coco_rle_decodes_to_the_mask(mask):
    rle = mask_to_coco_rle(mask)
    assert rle["size"] == list(mask.shape)
    np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)


def test_coco_rle_survives_json(mask):
    rle = json.loads(json.dumps(mask_to_coco_rle(mask)))
    np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)


def test_a_mask_comes_back_from_its_rle(mask):
    back = mask_from_coco_rle(mask_to_coco_rle(mask), mask.shape)
    assert back.dtype == bool
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, mask)


def test_a_mask_as_json_has_its_area_and_the_box_of_all_its_pixels(mask):
    described = json.loads(json.dumps(mask_to_json(mask, predicted_iou=0.5)))
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    rows, columns = np.nonzero(mask)
    bbox = [0, 0, 0, 0]
    if mask.any():
        bbox = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert described == {
        "rle": {"size": list(mask.shape), "counts": rle["counts"].decode()},
        "bbox": bbox,
        "area": np.count_nonzero(mask),
        "predicted_iou": 0.5,
    }
    assert mask_to_json(described["rle"], predicted_iou=0.5) == described
    assert mask.sum() == described["area"]


def test_the_bounds_hold_the_mask_and_nothing_more(mask):
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    inside = mask[y0:y1, x0:x1]
    assert np.count_nonzero(inside) == np.count_nonzero(mask)
    if mask.any():
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()
    else:
        assert (x0, y0, x1, y1) == (0, 0, 0, 0)


def uncompressed(mask: np.ndarray) -> list[int]:
    """COCO's counts by the definition: runs down the columns, the first outside."""
    flat = mask.ravel(order="F")
    starts = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], starts, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def test_compressed_rle_of_pycocotools_is_read(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = {"size": rle["size"], "counts": rle["counts"].decode()}
    np.testing.assert_array_equal(mask_from_coco_rle(text, mask.shape), mask)


def test_uncompressed_rle_is_read(mask):
    rle = {"size": list(mask.shape), "counts": uncompressed(mask)}
    np.testing.assert_array_equal(mask_from_coco_rle(rle, mask.shape), mask)


@pytest.mark.slow
def test_runs_longer_than_a_photo_of_40_megapixels_are_read():
    mask = np.zeros((5000, 8000), bool)
    mask[:, 7000:] = True
    np.testing.assert_array_equal(mask_from_coco_rle(mask_to_coco_rle(mask), mask.shape), mask)


@pytest.mark.parametrize(
    "counts",
    [
        None,
        12,
        {},
        b"\\1",
        [],
        "",
        [11],
        [13],
        [6, -1, 7],
        [-12],
        [6, 6.0],
        [6, "6"],
        [True, 11],
        [[12]],
        [10**40, 12],
        [2**63, 2**63, 12],
        "l",  # says that more follows
        "llllllllllll0",  # a number of 65 bits
        "O",  # minus one
        "\x7f",
        "/",
        "<\ud800",
        "é",
        "=",  # 13
        "66661",
        "0" * 100_000,
    ],
    ids=lambda counts: repr(counts)[:20],
)
def test_counts_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(AnnotationError, match="run-length"):
        mask_from_coco_rle({"size": [3, 4], "counts": counts}, (3, 4))


@pytest.mark.parametrize("counts", ["0" * 4_000_000, [0] * 500_000])
def test_counts_of_more_runs_than_the_mask_has_pixels_are_not_even_read(counts, monkeypatch):
    def read(*_):
        raise AssertionError("The counts were read.")

    monkeypatch.setattr(masks, "_decompressed", read)
    monkeypatch.setattr(masks.np, "array", read)
    with pytest.raises(AnnotationError, match="do not fill 4 x 3 pixels"):
        mask_from_coco_rle({"size": [4, 3], "counts": counts}, (4, 3))


@pytest.mark.parametrize("counts", ["111" + "0" * 5_000_000, [1] * 5_000_003])
def test_an_rle_that_would_take_much_memory_is_refused(counts):
    with pytest.raises(AnnotationError, match="too long"):
        checked_rle({"size": [1, 5_000_003], "counts": counts}, (1, 5_000_003))


@pytest.mark.parametrize(
    "rle",
    [None, [], "<", {}, {"counts": "<"}]
    + [{"size": size, "counts": "<"} for size in (None, [4, 3], [3], 12, [3, 4, 1], ["3", "4"])],
)
def test_a_mask_of_another_size_is_refused(rle):
    assert not mask_from_coco_rle({"size": [3, 4], "counts": "<"}, (3, 4)).any()
    with pytest.raises(AnnotationError, match=r"\[3, 4\]"):
        mask_from_coco_rle(rle, (3, 4))


def test_damaged_text_never_gets_past_the_counts():
    random = np.random.default_rng(5)
    mask = random.random((40, 30)) < 0.3
    text = np.frombuffer(mask_to_coco_rle(mask)["counts"].encode(), np.uint8)
    for _ in range(500):
        damaged = text.copy()
        damaged[random.integers(len(text), size=3)] = random.integers(40, 120, 3)
        rle = {"size": [40, 30], "counts": damaged.tobytes().decode()}
        try:
            assert mask_from_coco_rle(rle, (40, 30)).shape == (40, 30)
        except AnnotationError:
            continue


def test_a_scaled_mask_has_the_pixels_that_are_half_covered():
    mask = np.zeros((2, 8), bool)
    mask[:, :3] = mask[0, 4:6] = mask[1, 6] = True  # a full block, a half, a half and a quarter
    np.testing.assert_array_equal(scaled_mask(mask, (1, 4)), [[True, True, True, False]])


AWKWARD = {**fifty_masks(), "empty": np.zeros((20, 30), bool), "full": np.ones((20, 30), bool)}


@pytest.mark.parametrize("name", AWKWARD)
def test_a_crop_is_the_mask_within_its_box_and_back(name):
    mask = AWKWARD[name]
    rle = mask_to_coco_rle(mask)
    (x, y), crop = mask_crop(rle)
    rows, columns = np.nonzero(mask)
    if not rows.size:
        assert crop.size == 0
    else:
        assert (x, y) == (columns.min(), rows.min())
        assert crop.shape == (np.ptp(rows) + 1, np.ptp(columns) + 1)
    pasted = np.zeros_like(mask)
    pasted[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    np.testing.assert_array_equal(pasted, mask)
    assert rle_from_crop((x, y), crop, mask.shape) == rle


def test_a_chequered_crop_is_refused_before_its_runs_take_memory(monkeypatch):
    crop = np.indices((40, 50)).sum(axis=0) % 2 == 0
    toggles = 50 * 40  # one before each pixel of a column, or behind its last one
    monkeypatch.setattr(masks, "MAX_RLE_LENGTH", toggles)
    assert rle_area(rle_from_crop((0, 0), crop, crop.shape)) == 1000
    monkeypatch.setattr(masks, "MAX_RLE_LENGTH", toggles - 1)
    monkeypatch.setattr(masks, "rle_from_toggles", None)
    with pytest.raises(AnnotationError, match="too long"):
        rle_from_crop((0, 0), crop, crop.shape)


@pytest.mark.parametrize("name", AWKWARD)
def test_a_checked_rle_is_that_of_the_pixels(name):
    mask = AWKWARD[name]
    rle = mask_to_coco_rle(mask)
    assert checked_rle(rle, mask.shape) == rle
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(changes, prepend=0, append=flat.size).tolist()
    split = [part for count in counts for part in (count - count // 2, 0, count // 2)]
    for one in (counts, split):
        assert checked_rle({"size": list(mask.shape), "counts": one}, mask.shape) == rle


@pytest.mark.parametrize(
    "counts",
    ["", "~", "o", "1" * 1000, [], [600, 1], [599], [-1, 601], [10**30], [0.5, 599.5], None, {}],
)
def test_an_rle_that_does_not_fit_is_refused_without_its_pixels(counts):
    for read in (checked_rle, mask_from_coco_rle):
        with pytest.raises(AnnotationError, match="run-length mask"):
            read({"size": [20, 30], "counts": counts}, (20, 30))
    with pytest.raises(AnnotationError, match="its size is"):
        checked_rle({"size": [30, 20], "counts": [600]}, (20, 30))
