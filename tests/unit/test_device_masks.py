"""Masks that are upscaled on the model's device, compared with OpenCV's on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mobilesam.device_masks import stable_masks
from mobilesam.everything import iter_everything
from mobilesam.everything_options import EverythingOptions
from mobilesam.frame import Frame
from mobilesam.masks import mask_from_coco_rle, mask_to_coco_rle, rle_from_toggles
from mobilesam.predict import Prediction

EVERYTHING = EverythingOptions(
    points_per_side=3, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
)


def blobs(count: int) -> torch.Tensor:
    """(count, 256, 256) logits of smooth shapes."""
    generator = torch.Generator().manual_seed(count)
    coarse = 5 * torch.randn(count, 1, 9, 9, generator=generator)
    return torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic")[:, 0]


def masks_of(logits: torch.Tensor, frame: Frame, least: float = 0.0) -> dict[int, np.ndarray]:
    found = stable_masks(logits, frame, 0.0, 1.0, least)
    return {
        index: mask_from_coco_rle(
            rle_from_toggles(toggles, frame.original_size), frame.original_size
        )
        for index, _, toggles in found
    }


@pytest.mark.parametrize(
    ("size_hw", "crop"),
    [((333, 500), None), ((700, 450), None), ((900, 1300), (100, 50, 900, 800)), ((1, 40), None)],
    ids=["landscape", "portrait", "a crop", "one row"],
)
def test_masks_are_those_of_a_prediction(size_hw, crop):
    frame = Frame.of(size_hw, 1024, crop)
    logits = blobs(5)
    expected = Prediction(logits.numpy(), np.ones(5, np.float32), frame, 0.0).masks
    actual = masks_of(logits, frame)
    assert list(actual) == [0, 1, 2, 3, 4]
    for index, mask in actual.items():
        assert np.count_nonzero(mask != expected[index]) <= 1e-5 * mask.size


def test_the_encoding_is_that_of_the_mask():
    frame = Frame.of((200, 300), 1024, None)
    for (_, _, toggles), mask in zip(
        stable_masks(blobs(8), frame, 0.0, 1.0, 0.0),
        masks_of(blobs(8), frame).values(),
        strict=True,
    ):
        assert rle_from_toggles(toggles, (200, 300)) == mask_to_coco_rle(mask)


def test_empty_full_and_unstable_masks():
    frame = Frame.of((64, 64), 1024, None)
    empty, full = torch.full((256, 256), -9.0), torch.full((256, 256), 9.0)
    unstable = blobs(1)[0] / 20
    faint = torch.full((256, 256), -0.5)  # only above the lower threshold
    found = masks_of(torch.stack([empty, full, unstable, faint]), frame, least=0.5)
    assert list(found) == [1]
    assert found[1].all()
    assert masks_of(empty[None], frame) == {}
    assert masks_of(torch.empty(0, 256, 256), frame) == {}


def test_stability_scores_are_those_of_segment_anything():
    amg = pytest.importorskip("segment_anything.utils.amg")
    logits = blobs(6)
    frame = Frame.of((1024, 1024), 1024, None)
    upscaled = torch.nn.functional.interpolate(logits[:, None], (1024, 1024), mode="bilinear")
    expected = amg.calculate_stability_score(upscaled[:, 0], 0.0, 1.0)
    actual = [score for _, score, _ in stable_masks(logits, frame, 0.0, 1.0, 0.0)]
    np.testing.assert_array_equal(np.float32(actual), expected.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("crop", [None, (20, 10, 150, 100)], ids=["the photo", "a crop"])
def test_everything_finds_the_same_on_the_device(segmenter, disc, crop):
    embedding = segmenter.encode(disc, crop)
    there = replace(segmenter.backend, upscales_masks=True, prompts_at_once=5)
    *_, expected = iter_everything(segmenter.backend, embedding, EVERYTHING)
    *_, actual = iter_everything(there, embedding, EVERYTHING)
    assert len(actual.records) == len(expected.records) > 10
    for ours, theirs in zip(actual.records, expected.records, strict=True):
        assert ours.predicted_iou == pytest.approx(theirs.predicted_iou, abs=1e-4)
        assert ours.stability_score == pytest.approx(theirs.stability_score, abs=1e-3)
        assert abs(ours.area - theirs.area) <= 5
        assert np.abs(np.subtract(ours.bbox, theirs.bbox)).max() <= 1
