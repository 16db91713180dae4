"""Everything in the photo is what segment-anything's own generator finds with the same model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator

from mobilesam.model.weights import WEIGHTS_DIR

POINTS_PER_SIDE = 4
BUNDLED = {"pred_iou_thresh": 0.2, "stability_score_thresh": 0.3, "box_nms_thresh": 0.7}
MIN_AREAS = [0, 150]
# Random weights give small logits and masks as wide as the photo: a small offset, and no duplicates
# by boxes. Both thresholds lie between the masks' figures, not on them, and drop some.
RANDOM = {
    "pred_iou_thresh": 0.25,
    "stability_score_thresh": 0.42,
    "stability_score_offset": 0.1,
    "box_nms_thresh": 1.0,
}
SPECK = 12
"""Pixels; these masks fall into parts hardly larger."""


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def assert_same(ours, theirs, tell) -> None:
    """Each record has a partner of its own on the other side, with the same numbers."""
    assert len(ours) == len(theirs) > 3
    overlaps = np.array([[iou(a.mask, b["segmentation"]) for b in theirs] for a in ours])
    tell(f"{len(ours)} records, lowest IoU with a partner {overlaps.max(axis=1).min():.4f}")
    assert overlaps.max(axis=0).min() >= 0.9
    assert overlaps.max(axis=1).min() >= 0.9
    partners = [theirs[index] for index in overlaps.argmax(axis=1)]
    for record, other in zip(ours, partners, strict=True):
        assert record.predicted_iou == pytest.approx(other["predicted_iou"], abs=1e-3)
        assert record.stability_score == pytest.approx(other["stability_score"], abs=1e-2)
        assert record.area == pytest.approx(other["area"], rel=0.01)
        np.testing.assert_allclose(record.bbox, other["bbox"], atol=3)


@pytest.fixture(scope="module")
def random_options(request) -> dict[str, float]:
    return {**RANDOM, "min_mask_region_area": request.param}


@pytest.fixture(scope="module")
def theirs(original, photo, random_options) -> list[dict]:
    return SamAutomaticMaskGenerator(original, POINTS_PER_SIDE, **random_options).generate(photo)


@pytest.mark.parametrize(
    ("ours", "photo", "random_options"),
    [("fast", (600, 900), 0), ("fast", (900, 500), SPECK)],
    indirect=True,
)
def test_random_weights_find_what_they_find_in_the_original(
    ours, embedding, theirs, random_options, tell
):
    records = ours.everything(embedding, POINTS_PER_SIDE, **random_options)
    assert len(records) < 3 * POINTS_PER_SIDE**2  # the thresholds drop some
    assert_same(records, theirs, tell)
    if random_options["min_mask_region_area"]:
        raw = ours.everything(embedding, POINTS_PER_SIDE, **RANDOM)
        assert [record.area for record in raw] != [record.area for record in records]


@pytest.mark.parametrize(("name", "min_area"), [("street", MIN_AREAS[1]), ("flower", MIN_AREAS[0])])
def test_the_bundled_weights_find_what_they_find_in_the_original(
    bundled, bundled_sam, name, min_area, tell
):
    with Image.open(next((WEIGHTS_DIR.parent / "examples").glob(f"{name}.*"))) as image:
        # A small one, as the generator scales all masks to its size at once.
        photo = np.array(image.convert("RGB").resize((480, 320)))
    options = {**BUNDLED, "min_mask_region_area": min_area}
    generator = SamAutomaticMaskGenerator(bundled_sam, POINTS_PER_SIDE, **options)
    records = bundled.everything(bundled.encode(photo), POINTS_PER_SIDE, **options)
    assert_same(records, generator.generate(photo), tell)


def test_small_regions_were_there_to_be_removed(bundled):
    """Else the cases with a smallest area would say no more than those without."""
    with Image.open(WEIGHTS_DIR.parent / "examples" / "street.jpg") as image:
        embedding = bundled.encode(np.array(image.convert("RGB").resize((480, 320))))
    raw, cleaned = (
        bundled.everything(embedding, POINTS_PER_SIDE, **BUNDLED, min_mask_region_area=area)
        for area in MIN_AREAS
    )
    assert [record.area for record in raw] != [record.area for record in cleaned]
