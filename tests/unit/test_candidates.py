"""The default candidate, on masks with a number of parts that can be counted by eye."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from mobilesam import Prediction, Prompt, Segmenter
from mobilesam.candidates import candidate_scores, parts_penalty
from mobilesam.interactions import AddPoint
from mobilesam.model.backend import plain_backend
from mobilesam.training import evaluation

IOUS = np.array([0.80, 0.90, 0.87], np.float32)
PARTS = [1, 7, 2]
"""Of the masks of `LOGITS`; the second has the highest predicted IoU, and the most parts."""
LOGITS = np.full((3, 256, 256), -1, np.float32)
LOGITS[0, 10:200, 10:200] = 1
LOGITS[0, 200, 200] = 1  # touches the square by a corner: one part
LOGITS[1, 10:200:30, 10:200] = 1
LOGITS[2, 10:200, 10:200] = LOGITS[2, 220, 220] = 1


def predicted(penalty: float, mask_threshold: float = 0.0) -> Prediction:
    return Prediction(LOGITS, IOUS, (256, 256), (1024, 1024), mask_threshold, penalty)


@pytest.mark.parametrize("kind", ["official", "custom"])
def test_with_all_weights_but_the_bundled_ones_the_highest_predicted_iou_wins(kind):
    assert parts_penalty(kind) == 0
    assert predicted(parts_penalty(kind)).best == IOUS.argmax() == 1


def test_with_the_bundled_weights_ragged_masks_rank_lower():
    assert predicted(parts_penalty("bundled")).best == 2
    np.testing.assert_array_equal(predicted(parts_penalty("bundled")).iou_predictions, IOUS)


def test_the_penalty_is_a_multiple_of_the_logarithm_of_the_parts():
    expected = [iou - 0.2 * log(parts + 1) for iou, parts in zip(IOUS, PARTS, strict=True)]
    scores = candidate_scores(LOGITS, IOUS, 0.2)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert predicted(0.2).best == 0


def test_parts_are_those_of_the_mask_at_its_threshold():
    """Above a threshold that no logit reaches there are no parts."""
    np.testing.assert_array_equal(candidate_scores(LOGITS, IOUS, 0.1, mask_threshold=2.0), IOUS)
    assert predicted(0.1, mask_threshold=2.0).best == 1


def test_a_single_candidate_keeps_its_predicted_iou():
    np.testing.assert_array_equal(candidate_scores(LOGITS[1:2], IOUS[1:2], 0.1), IOUS[1:2])


@pytest.mark.parametrize(("kind", "best"), [("custom", 1), ("bundled", 2)])
def test_page_and_python_follow_the_rule_of_the_weights(
    stub_sam, stub_weights, disc, monkeypatch, kind, best
):
    def decode_batch(*_args):
        return torch.from_numpy(LOGITS)[None], torch.from_numpy(IOUS)[None]

    monkeypatch.setattr("mobilesam.predict.decode_batch", decode_batch)
    weights = replace(stub_weights, kind=kind)
    segmenter = Segmenter(plain_backend(stub_sam), weights, checkpoint="stub")
    embedding = segmenter.encode(disc)
    assert segmenter.predict(embedding, Prompt([(90, 60)], [1])).best == best
    assert segmenter.answer(embedding, (AddPoint(90, 60, 1),)).index == best


@pytest.mark.parametrize(("penalty", "order"), [(0.0, [1, 2, 0]), (0.2, [0, 2, 1])])
def test_an_evaluation_sorts_candidates_by_the_rule_of_the_weights(
    stub_sam, monkeypatch, penalty, order
):
    def decode(*_args):
        return torch.from_numpy(LOGITS)[None], torch.from_numpy(IOUS)[None]

    monkeypatch.setattr(evaluation, "decode", decode)
    embedding = torch.zeros(256, 64, 64)
    decoder = evaluation.PhotoDecoder(stub_sam, embedding, (256, 256), None, penalty)
    point = np.array([[[90.0, 60.0]]], np.float32), np.array([[1]])
    (masks,), ious, logits = decoder.decode(*point, multimask_output=True)
    np.testing.assert_array_equal(ious[0], IOUS[order])
    np.testing.assert_array_equal(logits[0], LOGITS[order])
    assert [mask.sum() > 35000 for mask in masks] == [index != 1 for index in order]
