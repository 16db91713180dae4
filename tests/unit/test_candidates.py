"""The default candidate, on masks of a confidence that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mobilesam import Prediction, Prompt, Segmenter
from mobilesam.candidates import candidate_scores, confidence, confidence_weight
from mobilesam.frame import Frame
from mobilesam.interactions import AddPoint
from mobilesam.model.backend import plain_backend
from mobilesam.training import evaluation

IOUS = np.array([0.80, 0.90, 0.87], np.float32)
LEVELS = [4.0, 0.5, 2.0]
"""The logits inside the masks; the second has the highest predicted IoU, and is vague."""
CONFIDENCES = [0.964028, 0.244919, 0.761594]
"""|2 p - 1| for a logit of 4, 0.5 and 2, by a pocket calculator."""
LOGITS = np.full((3, 256, 256), -5, np.float32)
LOGITS[:, 10:200, 10:200] = np.array(LEVELS)[:, None, None]


def predicted(weight: float) -> Prediction:
    return Prediction(LOGITS, IOUS, Frame((256, 256), (1024, 1024)), 0.0, weight)


@pytest.mark.parametrize("kind", ["official", "custom"])
def test_with_all_weights_but_the_bundled_ones_the_highest_predicted_iou_wins(kind):
    assert confidence_weight(kind) == 0
    assert predicted(confidence_weight(kind)).best == IOUS.argmax() == 1


def test_with_the_bundled_weights_vague_masks_rank_lower():
    assert predicted(confidence_weight("bundled")).best == 2
    np.testing.assert_array_equal(predicted(confidence_weight("bundled")).iou_predictions, IOUS)


def test_a_multiple_of_the_confidence_is_added():
    expected = [iou + 0.4 * one for iou, one in zip(IOUS, CONFIDENCES, strict=True)]
    np.testing.assert_allclose(candidate_scores(LOGITS, IOUS, 0.4), expected, rtol=1e-5)
    assert predicted(0.4).best == 0


def test_only_logits_above_minus_two_count():
    logits = np.array([[-5.0, -1.5, -0.5], [0.5, 1.5, np.log(3)]], np.float32)
    # |2 p - 1| is tanh(|logit| / 2), and p is 3/4 at ln 3.
    expected = (2 * np.tanh(0.75) + 2 * np.tanh(0.25) + 0.5) / 5
    assert confidence(logits) == pytest.approx(expected, rel=1e-5)
    assert confidence(np.full((2, 2), -3.0)) == 0


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


@pytest.mark.parametrize(("weight", "order"), [(0.0, [1, 2, 0]), (0.4, [0, 2, 1])])
def test_an_evaluation_sorts_candidates_by_the_rule_of_the_weights(
    stub_sam, monkeypatch, weight, order
):
    def decode(*_args):
        return torch.from_numpy(LOGITS)[None], torch.from_numpy(IOUS)[None]

    monkeypatch.setattr(evaluation, "decode", decode)
    embedding = torch.zeros(256, 64, 64)
    decoder = evaluation.PhotoDecoder(stub_sam, embedding, (256, 256), None, weight)
    point = np.array([[[90.0, 60.0]]], np.float32), np.array([[1]])
    (masks,), ious, logits = decoder.decode(*point, multimask_output=True)
    np.testing.assert_array_equal(ious[0], IOUS[order])
    np.testing.assert_array_equal(logits[0], LOGITS[order])
    assert len(masks) == 3
