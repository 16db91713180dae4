"""Counting and coding of masks, against pycocotools and numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam.masks import (
    coco_rle_to_mask,
    mask_area,
    mask_bbox_xywh,
    mask_bounds_xyxy,
    mask_to_coco_rle,
)


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
    back = coco_rle_to_mask(mask_to_coco_rle(mask))
    assert back.dtype == bool
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, mask)


def test_area_and_bbox_agree_with_pycocotools(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert mask_area(mask) == coco_mask.area(rle)
    assert mask_bbox_xywh(mask) == tuple(coco_mask.toBbox(rle).tolist())


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
