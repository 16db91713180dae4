"""Automatic mask generation: order, thresholds, batches, and the ranges of the options."""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils.amg import (
    MaskData,
    batched_mask_to_box,
    mask_to_rle_pytorch,
    rle_to_mask,
)

from mobilesam import EverythingOptions, MaskRecord, Prompt, PromptError
from mobilesam.masks import mask_bounds_xyxy, mask_to_coco_rle
from mobilesam.predict import decode_batch
from tests.stub_options import KEEP_ALL

pytestmark = pytest.mark.slow


@pytest.fixture
def embedding(segmenter, disc):
    return segmenter.encode(disc)


@pytest.fixture(scope="module")
def _results():
    return {}


@pytest.fixture
def unfiltered(segmenter, embedding, _results):
    """All records of a grid of 3 x 3 points, computed once for this module."""
    if not _results:
        _results["unfiltered"] = segmenter.everything(embedding, points_per_side=3, **KEEP_ALL)
    return _results["unfiltered"]


def test_the_records_come_with_the_highest_predicted_iou_first(unfiltered):
    ious = [record.predicted_iou for record in unfiltered]
    assert len(set(ious)) > 1
    assert ious == sorted(ious, reverse=True)


def test_a_record_describes_its_own_mask(unfiltered):
    for record in unfiltered:
        x0, y0, x1, y1 = mask_bounds_xyxy(record.mask)
        assert record.mask.shape == (120, 180)
        assert record.mask.dtype == bool
        assert record.area == record.mask.sum() > 0
        # segment-anything's width and height leave the last column and row out
        assert record.bbox == (x0, y0, x1 - 1 - x0, y1 - 1 - y0)
        assert 0 <= record.stability_score <= 1


def test_the_threshold_of_the_predicted_iou_is_respected(segmenter, embedding, unfiltered):
    ious = [record.predicted_iou for record in unfiltered]
    middle = (ious[9] + ious[10]) / 2  # between two, as runs differ by rounding
    kept = segmenter.everything(embedding, 3, **{**KEEP_ALL, "pred_iou_thresh": middle})
    assert 0 < len(kept) < len(ious)
    assert len(kept) == sum(iou > middle for iou in ious)
    assert all(record.predicted_iou > middle for record in kept)


def test_a_threshold_of_zero_keeps_even_predicted_ious_below_it(segmenter, embedding, monkeypatch):
    """As in SamAutomaticMaskGenerator: zero means that nothing is filtered."""

    def pessimistic(*args):
        logits, iou_predictions = decode_batch(*args)
        return logits, iou_predictions - 10

    monkeypatch.setattr("mobilesam.everything.decode_batch", pessimistic)
    records = segmenter.everything(embedding, 3, **KEEP_ALL)
    assert len(records) == 3 * 9
    assert all(record.predicted_iou < 0 for record in records)


def test_the_threshold_of_the_stability_is_respected(segmenter, embedding, unfiltered):
    scores = [record.stability_score for record in unfiltered]
    middle = float(np.median(scores))
    kept = segmenter.everything(embedding, 3, **{**KEEP_ALL, "stability_score_thresh": middle})
    assert 0 < len(kept) < len(scores)
    assert all(record.stability_score >= middle for record in kept)


def test_boxes_that_overlap_too_much_are_deduplicated(segmenter, embedding, unfiltered):
    def overlap(a, b) -> float:
        width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        both = max(width, 0) * max(height, 0)
        return both / (a[2] * a[3] + b[2] * b[3] - both)

    records = segmenter.everything(embedding, 3, **{**KEEP_ALL, "box_nms_thresh": 0.5})
    assert 0 < len(records) < len(unfiltered)
    for index, record in enumerate(records):
        for other in records[index + 1 :]:
            assert overlap(record.bbox, other.bbox) <= 0.5


def test_thresholds_that_no_mask_passes_give_no_record(segmenter, embedding):
    assert (
        segmenter.everything(embedding, 2, stability_score_thresh=1.0, stability_score_offset=100)
        == []
    )


def test_a_grid_is_complete_however_many_points_a_batch_holds(
    segmenter, stub_sam, embedding, unfiltered, small_batches
):
    decodes = stub_sam.mask_decoder.calls
    in_batches = segmenter.everything(embedding, 3, **KEEP_ALL)
    assert stub_sam.mask_decoder.calls == decodes + 3
    assert len(unfiltered) == len(in_batches) == 3 * 9
    for one, other in zip(unfiltered, in_batches, strict=True):
        assert one.predicted_iou == pytest.approx(other.predicted_iou, abs=1e-4)


@pytest.mark.parametrize(("share", "most"), [(0.5, 1), (2.5, 2), (100, 16)])
def test_a_batch_of_a_large_photo_is_as_short_as_one_of_a_small_photo(
    segmenter, embedding, monkeypatch, share, most
):
    pixels = embedding.original_size[0] * embedding.original_size[1]
    monkeypatch.setattr("mobilesam.everything._BATCH_PIXELS", int(share * pixels))
    monkeypatch.setattr("mobilesam.everything._decode_points", lambda *args: iter(()))
    options = EverythingOptions(**{"points_per_side": 5, **KEEP_ALL})
    done = [step.done for step in segmenter.iter_everything(embedding, options)]
    assert done == [*range(most, 25, most), 25]


@pytest.fixture
def small_batches(segmenter, unfiltered, monkeypatch):
    """Four points a batch: a grid of 3 x 3 takes three."""
    monkeypatch.setattr(segmenter, "backend", replace(segmenter.backend, prompts_at_once=4))


@pytest.fixture
def steps(segmenter, embedding, small_batches):
    """A generation of 3 x 3 points that has not started."""
    return segmenter.iter_everything(embedding, EverythingOptions(3, **KEEP_ALL))


def test_every_batch_reports_its_progress_and_the_masks_so_far(unfiltered, steps):
    told = list(steps)
    assert [(step.done, step.total) for step in told] == [(4, 9), (8, 9), (9, 9)]
    assert [len(step.records) for step in told] == [3 * 4, 3 * 8, 3 * 9]
    for step in told:
        ious = [record.predicted_iou for record in step.records]
        assert ious == sorted(ious, reverse=True)
    for record, other in zip(told[-1].records, unfiltered, strict=True):
        assert record.predicted_iou == pytest.approx(other.predicted_iou, abs=1e-4)


def test_a_closed_generator_computes_no_further_batch(stub_sam, steps):
    assert stub_sam.mask_decoder.calls == 0
    for calls in (1, 2):
        next(steps)
        assert stub_sam.mask_decoder.calls == calls
    steps.close()
    assert list(steps) == []
    assert stub_sam.mask_decoder.calls == 2


def test_the_records_of_a_batch_do_not_change_with_later_batches(steps):
    first = next(steps)
    list(steps)
    assert len(first.records) == 3 * 4


def test_between_two_batches_other_prompts_are_answered(segmenter, steps, draw_disc):
    answers = []

    def click() -> None:
        other = segmenter.encode(draw_disc(seed=1))
        answers.append(segmenter.predict(other, Prompt([(90, 60)], [1])))

    next(steps)
    thread = threading.Thread(target=click, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert len(answers) == 1
    assert len(list(steps)) == 2


def test_a_record_of_a_large_photo_is_held_compactly(segmenter, draw_disc):
    embedding = segmenter.encode(draw_disc(size_hw=(1500, 2000)))
    for record in segmenter.everything(embedding, 1, **KEEP_ALL):
        assert not any(isinstance(value, np.ndarray) for value in vars(record).values())
        assert len(record.rle["counts"]) < record.mask.nbytes / 10
        assert "mask" not in vars(record)


def test_a_generation_whose_masks_take_too_much_memory_is_stopped(
    segmenter, embedding, monkeypatch
):
    monkeypatch.setattr("mobilesam.everything._MAX_BYTES", 1000)
    with pytest.raises(PromptError, match="Too many masks"):
        segmenter.everything(embedding, 3, **KEEP_ALL)


def smallest_component(mask: np.ndarray) -> int:
    """Pixels of the smallest of the 8-connected parts, a huge number where there is at most one."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    sizes = stats[1:, cv2.CC_STAT_AREA]
    return int(sizes.min()) if len(sizes) > 1 else 10**9


def test_islands_and_holes_below_the_smallest_area_are_removed(segmenter, embedding, unfiltered):
    assert min(smallest_component(record.mask) for record in unfiltered) < 40
    assert min(smallest_component(~record.mask) for record in unfiltered) < 40
    cleaned = segmenter.everything(embedding, 3, **KEEP_ALL, min_mask_region_area=40)
    assert cleaned
    for record in cleaned:
        x0, y0, x1, y1 = mask_bounds_xyxy(record.mask)
        assert smallest_component(record.mask) >= 40
        assert smallest_component(~record.mask) >= 40
        assert record.area == record.mask.sum()
        assert record.bbox == (x0, y0, x1 - 1 - x0, y1 - 1 - y0)
    ious = [record.predicted_iou for record in cleaned]
    assert ious == sorted(ious, reverse=True)


def square(x: int, y: int, speck_xy: tuple[int, int] | None = None) -> np.ndarray:
    """40 x 40 pixels, and far away one more that makes the box large."""
    mask = np.zeros((120, 180), bool)
    mask[y : y + 40, x : x + 40] = True
    if speck_xy:
        mask[speck_xy[1], speck_xy[0]] = True
    return mask


def test_masks_that_become_duplicates_without_their_specks_are_dropped_as_in_the_original(
    segmenter, embedding, monkeypatch
):
    found = [
        (0.5, square(10, 10)),
        (0.9, square(10, 10, speck_xy=(150, 100))),  # becomes the first, which needed no change
        (0.6, square(100, 10)),
        (0.8, square(113, 10, speck_xy=(160, 118))),  # half of its box will be the third's
    ]
    masks = torch.from_numpy(np.stack([mask for _, mask in found]))
    boxes = batched_mask_to_box(masks)
    records = [
        MaskRecord(mask_to_coco_rle(mask), iou, 1.0, (x0, y0, x1 - x0, y1 - y0), int(mask.sum()))
        for (iou, mask), (x0, y0, x1, y1) in zip(found, boxes.tolist(), strict=True)
    ]
    monkeypatch.setattr("mobilesam.everything._decode_points", lambda *args: iter(records))
    thresh = 0.3
    cleaned = segmenter.everything(embedding, 1, box_nms_thresh=thresh, min_mask_region_area=5)

    data = MaskData(
        rles=mask_to_rle_pytorch(masks),
        boxes=boxes.numpy(),
        iou_preds=np.array([iou for iou, _ in found]),
    )
    floor = max(thresh, 0.7)  # as SamAutomaticMaskGenerator.generate calls it
    data = SamAutomaticMaskGenerator.postprocess_small_regions(data, 5, floor)
    theirs = sorted(zip(data["iou_preds"], data["rles"], strict=True), key=lambda pair: -pair[0])
    assert [record.predicted_iou for record in cleaned] == [iou for iou, _ in theirs]
    assert [record.predicted_iou for record in cleaned] == [0.8, 0.6, 0.5]
    for record, (_, rle) in zip(cleaned, theirs, strict=True):
        np.testing.assert_array_equal(record.mask, rle_to_mask(rle))


def record_of(mask: np.ndarray, predicted_iou: float) -> MaskRecord:
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    bbox = (x0, y0, x1 - 1 - x0, y1 - 1 - y0)
    return MaskRecord(mask_to_coco_rle(mask), predicted_iou, 1.0, bbox, int(mask.sum()))


@pytest.fixture
def everything_of(segmenter, embedding, monkeypatch):
    """everything_of(records, options): what is kept of these, found in one batch."""

    def select(records, **options):
        monkeypatch.setattr("mobilesam.everything._decode_points", lambda *args: iter(records))
        return segmenter.everything(embedding, 1, **{"box_nms_thresh": 1, **options})

    return select


SHIFTED = 36 * 40 / (2 * 40 * 40 - 36 * 40 + 1)  # IoU of squares 4 pixels apart, one with a speck


@pytest.mark.parametrize(
    ("thresh", "kept"),
    [
        (1.0, [0.9, 0.8, 0.7, 0.6]),
        (SHIFTED + 1e-9, [0.9, 0.8, 0.7, 0.6]),
        (SHIFTED - 1e-9, [0.9, 0.8, 0.7]),  # the others' IoU is 0.5 and 0
        (0.49, [0.9, 0.7]),
        (0.0, [0.9, 0.7]),
    ],
)
def test_of_masks_that_are_nearly_the_same_the_best_is_kept(everything_of, thresh, kept):
    half = square(10, 10)
    half[30:] = False
    records = [
        record_of(square(14, 10, speck_xy=(170, 110)), 0.6),  # a speck makes its box large
        record_of(half, 0.8),
        record_of(square(100, 10), 0.7),
        record_of(square(10, 10), 0.9),
    ]
    records = everything_of(records, mask_nms_thresh=thresh)
    assert [record.predicted_iou for record in records] == kept


def test_a_better_mask_of_a_later_batch_replaces_its_near_duplicate(
    segmenter, embedding, small_batches, monkeypatch
):
    batches = [[record_of(square(10, 10), 0.5)], [record_of(square(11, 10), 0.9)], []]
    found = iter(batches)
    monkeypatch.setattr("mobilesam.everything._decode_points", lambda *args: iter(next(found)))
    options = EverythingOptions(3, box_nms_thresh=1, mask_nms_thresh=0.8)
    told = [step.records for step in segmenter.iter_everything(embedding, options)]
    assert told == [batches[0], batches[1], batches[1]]


def test_the_work_of_comparing_masks_is_bounded(everything_of, monkeypatch):
    monkeypatch.setattr("mobilesam.everything._MAX_COMPARED", 2)
    noise = np.random.default_rng(0).random((4, 120, 180)) > 0.5
    records = [record_of(mask, 0.9) for mask in noise]
    assert len(everything_of(records[:2], mask_nms_thresh=0.5)) == 2
    with pytest.raises(PromptError, match="Too many masks"):
        everything_of(records, mask_nms_thresh=0.5)


def test_masks_below_a_share_of_the_photo_are_dropped(segmenter, embedding, unfiltered):
    areas = sorted(record.area for record in unfiltered)
    share = (areas[9] + areas[10]) / 2 / (120 * 180)  # between two, as runs differ by rounding
    kept = segmenter.everything(embedding, 3, **KEEP_ALL, min_area_share=share)
    assert sorted(record.area for record in kept) == pytest.approx(areas[10:], abs=20)


def test_a_small_mask_with_the_box_of_a_large_one_does_not_take_its_place(everything_of):
    outline = square(10, 10)
    outline[11:49, 11:49] = False
    records = [record_of(outline, 0.9), record_of(square(10, 10), 0.5)]
    for share, kept in ((0, [0.9]), (0.05, [0.5])):  # the photo has 21,600 pixels, the square 1,600
        found = everything_of(records, box_nms_thresh=0.7, min_area_share=share)
        assert [record.predicted_iou for record in found] == kept


def test_a_mask_that_becomes_too_small_without_its_islands_is_dropped(everything_of):
    records = [record_of(square(10, 10, speck_xy=(170, 110)), 0.9)]
    share = (40 * 40 + 1) / (120 * 180)
    assert len(everything_of(records, min_area_share=share)) == 1
    assert everything_of(records, min_area_share=share, min_mask_region_area=5) == []


def test_the_defaults_depend_on_the_weights_and_given_options_win():
    sams = EverythingOptions()
    assert EverythingOptions.for_weights("official", {}) == sams
    assert EverythingOptions.for_weights("custom", {}) == sams
    bundled = EverythingOptions.for_weights("bundled", {"points_per_side": 8})
    assert bundled.points_per_side == 8
    assert bundled.pred_iou_thresh < sams.pred_iou_thresh
    assert bundled.stability_score_thresh < sams.stability_score_thresh
    given = {"pred_iou_thresh": 0.88, "stability_score_thresh": 0.95}
    assert EverythingOptions.for_weights("bundled", given) == sams


THRESHOLDS = [
    "pred_iou_thresh",
    "stability_score_thresh",
    "box_nms_thresh",
    "min_area_share",
    "mask_nms_thresh",
]
INVALID = [float("nan"), float("inf"), -float("inf"), "1", None, True, [], {}, 1j, -(10**400)]
BAD_OPTIONS = [
    *(("points_per_side", value) for value in [*INVALID, 0, -1, 65, 10**400, 2.5, 16.0]),
    *((name, value) for name in THRESHOLDS for value in [*INVALID, -0.01, 1.01, 10**400]),
    *(("stability_score_offset", value) for value in [*INVALID, -0.01, 101]),
    *(("min_mask_region_area", value) for value in [*INVALID, -1, 1_000_001, 0.5]),
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS, ids=lambda value: str(value)[:30])
def test_an_option_that_is_not_a_number_in_its_range_is_refused(name, value):
    with pytest.raises(PromptError, match=f"^{name} must be a (whole )?number from"):
        EverythingOptions(**{name: value})


@pytest.mark.parametrize("name", ["crop_n_layers", "self", "", "x" * 10_000])
def test_an_unknown_option_is_refused(name):
    with pytest.raises(PromptError, match="is not a known field") as refusal:
        EverythingOptions.for_weights("bundled", {name: 1})
    assert len(str(refusal.value)) < 300


def test_numpy_numbers_become_plain_numbers():
    options = EverythingOptions(np.int64(8), np.float32(0.5), min_mask_region_area=np.int32(7))
    assert (options.points_per_side, options.pred_iou_thresh) == (8, 0.5)
    assert type(options.points_per_side) is type(options.min_mask_region_area) is int
    assert type(options.pred_iou_thresh) is float
