"""Everything in the photo is what segment-anything's own generator finds with the same model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator

from mobilesam.model.weights import WEIGHTS_DIR

THRESHOLDS = {"pred_iou_thresh": 0.2, "stability_score_thresh": 0.3, "box_nms_thresh": 0.7}
POINTS_PER_SIDE = 4


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A small one, as the generator scales all masks to its size at once."""
    with Image.open(WEIGHTS_DIR.parent / "examples" / "street.jpg") as image:
        return np.array(image.convert("RGB").resize((480, 320)))


@pytest.fixture(scope="module")
def ours(bundled, photo):
    return bundled.everything(bundled.encode(photo), POINTS_PER_SIDE, **THRESHOLDS)


@pytest.fixture(scope="module")
def theirs(bundled_sam, photo):
    generator = SamAutomaticMaskGenerator(
        bundled_sam, points_per_side=POINTS_PER_SIDE, points_per_batch=16, **THRESHOLDS
    )
    records = generator.generate(photo)
    return sorted(records, key=lambda record: record["predicted_iou"], reverse=True)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def test_there_are_as_many_records_and_each_has_its_partner(ours, theirs, tell):
    assert len(ours) == len(theirs) > 3
    overlaps = np.array([[iou(a.mask, b["segmentation"]) for b in theirs] for a in ours])
    tell(f"{len(ours)} records, lowest IoU with a partner {overlaps.max(axis=1).min():.4f}")
    assert overlaps.max(axis=0).min() >= 0.9
    assert overlaps.max(axis=1).min() >= 0.9
    assert sorted(overlaps.argmax(axis=1)) == list(range(len(theirs)))


def test_partners_agree_in_their_numbers(ours, theirs):
    for record, other in zip(ours, theirs, strict=True):
        assert record.predicted_iou == pytest.approx(other["predicted_iou"], abs=1e-3)
        assert record.stability_score == pytest.approx(other["stability_score"], abs=1e-2)
        assert record.area == pytest.approx(other["area"], rel=0.01)
        np.testing.assert_allclose(record.bbox, other["bbox"], atol=3)
