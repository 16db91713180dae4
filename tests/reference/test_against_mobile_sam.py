"""With the same weights, the same answers as the original MobileSAM; `pytest -s` shows how near."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mobile_sam.modeling.tiny_vit_sam import TinyViT as OriginalTinyVit

from mobilesam import Prompt

LOGITS_TOLERANCE = 1e-4
"""Relative to the largest logit. Two orders above rounding, two below a wrong weight."""
DIFFERING_PIXELS_PER_MILLION = 5
"""Pixels whose logit is rounded to the other side of the threshold; five in smaller masks too."""

FIRST, SECOND = (210, 180), (400, 420)
BOX = (90, 70, 470, 560)
PROMPTS = {
    "point": Prompt([FIRST], [1]),
    "two points": Prompt([FIRST, SECOND], [1, 0]),
    "box": Prompt(box=BOX),
    "box and point": Prompt([SECOND], [0], BOX),
    "point with mask_input": Prompt([FIRST], [1]),
}


def test_the_two_encoders_are_different_code(loaded, original):
    assert type(loaded.image_encoder.trunk).__module__ == "timm.models.tiny_vit"
    assert type(original.image_encoder) is OriginalTinyVit
    assert OriginalTinyVit.__module__.startswith("mobile_sam.")


def test_the_image_embedding_is_the_originals(predictor, embedding, tell):
    expected = predictor.features
    difference = (embedding.features - expected).abs().max().item()
    largest = expected.abs().max().item()
    tell(f"embedding: largest difference {difference:.2e} of {largest:.2f}")
    assert embedding.features.shape == expected.shape == (1, 256, 64, 64)
    assert embedding.input_size == tuple(predictor.input_size)
    assert expected.std() > 0.1
    assert difference <= LOGITS_TOLERANCE * largest


@pytest.mark.parametrize("name", PROMPTS)
def test_the_answer_to_a_prompt_is_the_originals(ours, predictor, embedding, name, tell):
    prompt = PROMPTS[name]
    question = {
        "point_coords": np.array(prompt.point_coords) if prompt.point_coords else None,
        "point_labels": np.array(prompt.point_labels) if prompt.point_coords else None,
        "box": None if prompt.box is None else np.array(prompt.box),
        "multimask_output": len(prompt.point_coords) == 1 and prompt.box is None,
    }
    mask_input = None
    if name == "point with mask_input":
        mask_input = predictor.predict(**question)[2][:1]
    masks, ious, logits = predictor.predict(**question, mask_input=mask_input)
    prediction = ours.predict(embedding, prompt, mask_input)

    difference, largest = np.abs(prediction.low_res_logits - logits).max(), np.abs(logits).max()
    differing = int(np.count_nonzero(prediction.masks != masks))
    tell(
        f"{name}: largest logit difference {difference:.2e} of {largest:.2f}, "
        f"{differing} of {masks.size} pixels differ"
    )
    assert prediction.masks.shape == masks.shape
    assert 0.01 < masks.mean() < 0.99
    assert difference <= LOGITS_TOLERANCE * largest
    assert differing <= DIFFERING_PIXELS_PER_MILLION * max(masks.size / 1e6, 1)
    np.testing.assert_allclose(prediction.iou_predictions, ious, atol=1e-4)
    assert prediction.best == ious.argmax()


def test_a_mask_input_matters_to_the_original_too(ours, predictor, embedding):
    prompt = PROMPTS["point"]
    alone = ours.predict(embedding, prompt)
    refined = ours.predict(embedding, prompt, alone.low_res_logits[:1])
    difference = np.abs(alone.low_res_logits - refined.low_res_logits).max()
    assert difference > 100 * LOGITS_TOLERANCE * np.abs(alone.low_res_logits).max()


def test_the_weights_went_through_the_checkpoint(loaded, original):
    assert torch.equal(
        loaded.image_encoder.trunk.stages[3].blocks[1].attn.attention_biases,
        original.image_encoder.layers[3].blocks[1].attn.attention_biases,
    )
