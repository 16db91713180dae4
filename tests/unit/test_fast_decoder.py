"""The fast decoder against segment_anything's, on the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam.model.fast_decoder import FastDecoder


@dataclass(frozen=True)
class Batch:
    """The shape of a batch of prompts."""

    prompts: int = 1
    points: int = 1
    box: bool = False
    mask_input: bool = False


BATCHES = {
    "one point": Batch(),
    "two points": Batch(points=2),
    "a box": Batch(points=0, box=True),
    "a box and points": Batch(points=3, box=True),
    "a point with mask_input": Batch(mask_input=True),
    "more points than `_FEW_TOKENS`": Batch(points=30),
    "four prompts at once": Batch(prompts=4),
    "three prompts with mask_input": Batch(prompts=3, mask_input=True),
}


@pytest.fixture(scope="module")
def fast(bundled_sam: Sam) -> FastDecoder:
    return FastDecoder(bundled_sam.mask_decoder)


@pytest.fixture(scope="module")
def embedding() -> torch.Tensor:
    """Random features, and a constant in the padding of a photo of 43:64."""
    generator = torch.Generator().manual_seed(11)
    features = 0.3 * torch.randn(1, 256, 64, 64, generator=generator)
    features[:, :, 43:] = 0.1
    return features


@pytest.mark.parametrize(
    ("batch", "multimask_output"),
    [pytest.param(batch, True, id=name) for name, batch in BATCHES.items()]
    + [pytest.param(BATCHES["a box"], False, id="a box, one mask")],
)
def test_the_fast_decoder_gives_the_logits_and_ious_of_the_reference(
    bundled_sam: Sam,
    fast: FastDecoder,
    embedding: torch.Tensor,
    batch: Batch,
    multimask_output: bool,
) -> None:
    generator = torch.Generator().manual_seed(5)
    coords = 1023 * torch.rand(batch.prompts, batch.points, 2, generator=generator)
    labels = torch.randint(0, 2, (batch.prompts, batch.points), generator=generator)
    box = torch.tensor([[100.0, 120.0, 700.0, 500.0]]).expand(batch.prompts, -1)
    logits = 4 * torch.randn(batch.prompts, 1, 256, 256, generator=generator)
    with torch.inference_mode():
        sparse, dense = bundled_sam.prompt_encoder(
            points=(coords, labels) if batch.points else None,
            boxes=box if batch.box else None,
            masks=logits if batch.mask_input else None,
        )
        inputs = {
            "image_embeddings": embedding,
            "image_pe": bundled_sam.prompt_encoder.get_dense_pe(),
            "sparse_prompt_embeddings": sparse,
            "dense_prompt_embeddings": dense,
            "multimask_output": multimask_output,
        }
        expected_logits, expected_ious = bundled_sam.mask_decoder(**inputs)
        actual_logits, actual_ious = fast(**inputs)
    assert actual_logits.shape == expected_logits.shape
    error = (actual_logits - expected_logits).norm() / expected_logits.norm()
    assert float(error) <= 1e-5
    assert torch.allclose(actual_ious, expected_ious, atol=1e-5)
