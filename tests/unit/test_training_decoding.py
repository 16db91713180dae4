"""`decode` against segment_anything's predictor, which decodes one prompt at a time."""

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor

from mobilesam.model.backend import choose_decoder
from mobilesam.training.decoding import decode
from tests.training import SMALL, small_sam

POINTS = np.array([[30.0, 20.0], [70.0, 51.0], [4.0, 9.0]], np.float32)
LABELS = np.array([1, 0, 1])
BOXES = np.array([[1.0, 2.0, 40.0, 50.0], [30.0, 3.0, 100.0, 70.0]], np.float32)
SIDE = SMALL // 4
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def predictor():
    """Holds a photo whose pixels are the model's."""
    predictor = SamPredictor(small_sam())
    random = np.random.default_rng(0)
    predictor.set_image(random.integers(0, 255, (96, SMALL, 3), dtype=np.uint8))
    return predictor


def decoded(predictor, points=None, labels=None, boxes=None, mask_input=None, multimask=False):
    count = len(boxes if points is None else points)
    coords = np.zeros((count, 0, 2), np.float32) if points is None else points
    labels = np.zeros((count, 0)) if labels is None else labels
    logits, ious = decode(
        predictor.model,
        predictor.features[0],
        torch.tensor(coords),
        torch.tensor(labels),
        None if boxes is None else torch.tensor(boxes),
        None if mask_input is None else torch.tensor(mask_input),
        multimask,
    )
    return logits.float().numpy(), ious.float().numpy()


def predicted(predictor, **prompt):
    _, ious, logits = predictor.predict(**prompt)
    return logits, ious


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert np.abs(mine - other).max() < TOLERANCE * max(1, np.abs(other).max())


@pytest.mark.parametrize("multimask", [True, False])
def test_single_points_are_decoded_as_by_the_predictor(predictor, multimask):
    logits, ious = decoded(predictor, POINTS[:, None], LABELS[:, None], multimask=multimask)
    for n in range(3):
        theirs = predicted(
            predictor,
            point_coords=POINTS[n : n + 1],
            point_labels=LABELS[n : n + 1],
            multimask_output=multimask,
        )
        assert_same((logits[n], ious[n]), theirs)


def test_boxes_are_decoded_as_by_the_predictor(predictor):
    logits, ious = decoded(predictor, boxes=BOXES)
    for n in range(2):
        theirs = predicted(predictor, box=BOXES[n], multimask_output=False)
        assert_same((logits[n], ious[n]), theirs)


def test_points_with_a_box_and_a_mask_are_decoded_as_by_the_predictor(predictor):
    mask_input = np.random.default_rng(1).normal(0, 5, (2, 1, SIDE, SIDE)).astype(np.float32)
    points, labels = np.stack([POINTS[:2], POINTS[1:]]), np.stack([LABELS[:2], LABELS[1:]])
    logits, ious = decoded(predictor, points, labels, BOXES, mask_input)
    for n in range(2):
        theirs = predicted(
            predictor,
            point_coords=points[n],
            point_labels=labels[n],
            box=BOXES[n],
            mask_input=mask_input[n],
            multimask_output=False,
        )
        assert_same((logits[n], ious[n]), theirs)


def test_a_faster_decoder_gives_the_same_masks(predictor):
    sam = predictor.model
    points, labels = torch.tensor(POINTS[:, None]), torch.tensor(LABELS[:, None])
    mask_input = torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    prompt = sam, predictor.features[0], points, labels, None, mask_input, True
    with torch.inference_mode():
        fast = decode(*prompt, choose_decoder(sam))
        plain = decode(*prompt)
    assert_same([part.numpy() for part in fast], [part.numpy() for part in plain])


def test_gradients_reach_the_decoder_the_prompt_encoder_and_the_embedding(predictor):
    sam = predictor.model
    weights = [sam.mask_decoder.mask_tokens.weight, sam.prompt_encoder.no_mask_embed.weight]
    embedding = predictor.features[0].clone().requires_grad_()
    for weight in weights:
        weight.requires_grad_()
    try:
        points, labels = torch.tensor(POINTS[:, None]), torch.tensor(LABELS[:, None])
        logits, _ = decode(sam, embedding, points, labels, None, None, False)
        gradients = torch.autograd.grad(logits.sum(), [*weights, embedding])
    finally:
        for weight in weights:  # other tests use the model, too
            weight.requires_grad_(False)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_mixed_precision_leaves_positions_exact(predictor):
    seen = []
    handle = predictor.model.prompt_encoder.register_forward_hook(
        lambda _module, _args, output: seen.append(output[0])
    )
    try:
        decoded(predictor, POINTS[:, None], LABELS[:, None])
        with torch.autocast("cpu", torch.bfloat16):
            decoded(predictor, POINTS[:, None], LABELS[:, None])
    finally:
        handle.remove()
    assert seen[1].dtype == torch.float32
    assert torch.equal(*seen)
