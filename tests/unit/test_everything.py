"""Everything in the photo: order, thresholds, and the grid's limits."""

from __future__ import annotations

import numpy as np
import pytest

from mobilesam import PromptError
from mobilesam.masks import mask_area, mask_bounds_xyxy

KEEP_ALL = {
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.0,
    "stability_score_offset": 0.02,  # the logits of random weights are small
    "box_nms_thresh": 1.0,
}


@pytest.fixture
def embedding(segmenter, disc):
    return segmenter.encode(disc)


def test_the_records_come_with_the_highest_predicted_iou_first(segmenter, embedding):
    records = segmenter.everything(embedding, points_per_side=3, **KEEP_ALL)
    ious = [record.predicted_iou for record in records]
    assert len(set(ious)) > 1
    assert ious == sorted(ious, reverse=True)


def test_a_record_counts_its_own_mask(segmenter, embedding):
    for record in segmenter.everything(embedding, points_per_side=3, **KEEP_ALL):
        x0, y0, x1, y1 = mask_bounds_xyxy(record.mask)
        assert record.mask.shape == (120, 180)
        assert record.mask.dtype == bool
        assert record.area == mask_area(record.mask) > 0
        # segment-anything's width and height leave the last column and row out
        assert record.bbox == (x0, y0, x1 - 1 - x0, y1 - 1 - y0)
        assert 0 <= record.stability_score <= 1


def test_the_threshold_of_the_predicted_iou_is_respected(segmenter, embedding):
    ious = [r.predicted_iou for r in segmenter.everything(embedding, 3, **KEEP_ALL)]
    middle = float(np.median(ious))
    kept = segmenter.everything(embedding, 3, **{**KEEP_ALL, "pred_iou_thresh": middle})
    assert 0 < len(kept) < len(ious)
    assert len(kept) == sum(iou > middle for iou in ious)
    assert all(record.predicted_iou > middle for record in kept)


def test_the_threshold_of_the_stability_is_respected(segmenter, embedding):
    scores = [r.stability_score for r in segmenter.everything(embedding, 3, **KEEP_ALL)]
    middle = float(np.median(scores))
    kept = segmenter.everything(embedding, 3, **{**KEEP_ALL, "stability_score_thresh": middle})
    assert 0 < len(kept) < len(scores)
    assert all(record.stability_score >= middle for record in kept)


def test_boxes_that_overlap_too_much_are_deduplicated(segmenter, embedding):
    def overlap(a, b) -> float:
        width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        both = max(width, 0) * max(height, 0)
        return both / (a[2] * a[3] + b[2] * b[3] - both)

    everything = segmenter.everything(embedding, 3, **KEEP_ALL)
    records = segmenter.everything(embedding, 3, **{**KEEP_ALL, "box_nms_thresh": 0.5})
    assert 0 < len(records) < len(everything)
    for index, record in enumerate(records):
        for other in records[index + 1 :]:
            assert overlap(record.bbox, other.bbox) <= 0.5


def test_thresholds_that_nothing_passes_give_no_record(segmenter, embedding):
    assert (
        segmenter.everything(embedding, 2, stability_score_thresh=1.0, stability_score_offset=100)
        == []
    )


def test_a_grid_is_complete_however_many_points_a_batch_holds(
    segmenter, stub_sam, embedding, monkeypatch
):
    at_once = segmenter.everything(embedding, 3, **KEEP_ALL)
    assert stub_sam.mask_decoder.calls == 1
    monkeypatch.setattr("mobilesam.everything._BATCH", 4)
    in_batches = segmenter.everything(embedding, 3, **KEEP_ALL)
    assert stub_sam.mask_decoder.calls == 1 + 3
    assert len(at_once) == len(in_batches) == 3 * 9
    for one, other in zip(at_once, in_batches, strict=True):
        assert one.predicted_iou == pytest.approx(other.predicted_iou, abs=1e-4)


@pytest.mark.parametrize("points", [0, -1, 65, 10**9, float("nan"), 2.5, "16", None])
def test_a_grid_without_points_or_with_too_many_is_refused(segmenter, embedding, points):
    with pytest.raises(PromptError, match="points_per_side"):
        segmenter.everything(embedding, points_per_side=points)
