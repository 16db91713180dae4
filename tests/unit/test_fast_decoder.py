"""The fast decoder against segment_anything's, on the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam.model.fast_decoder import FastDecoder


@dataclass(frozen=True)
class Ask:
    """What a batch of prompts looks like."""

    batch: int = 1
    points: int = 1
    box: bool = False
    mask_input: bool = False


ASKS = {
    "one point": Ask(),
    "two points": Ask(points=2),
    "a box": Ask(points=0, box=True),
    "a box and points": Ask(points=3, box=True),
    "a point with mask_input": Ask(mask_input=True),
    "more points than the absorbed form takes": Ask(points=30),
    "32 prompts at once": Ask(batch=32),
    "three prompts with mask_input": Ask(batch=3, mask_input=True),
}


@pytest.fixture(scope="module")
def fast(bundled_sam: Sam) -> FastDecoder:
    return FastDecoder(bundled_sam.mask_decoder)


@pytest.fixture(scope="module", params=[(64, 64), (43, 64), (64, 31)], ids=str)
def embedding(request: pytest.FixtureRequest) -> torch.Tensor:
    """Embeddings of photos of three shapes: random features, one constant in the padding."""
    rows, columns = request.param
    generator = torch.Generator().manual_seed(rows * columns)
    features = 0.3 * torch.randn(1, 256, 64, 64, generator=generator)
    features[:, :, rows:] = 0.1
    features[:, :, :, columns:] = 0.1
    return features


@pytest.mark.parametrize(
    ("ask", "multimask_output"),
    [pytest.param(ask, True, id=name) for name, ask in ASKS.items()]
    + [pytest.param(ASKS["a box"], False, id="a box, one mask")],
)
def test_the_fast_decoder_gives_the_plain_logits_and_ious(
    bundled_sam: Sam,
    fast: FastDecoder,
    embedding: torch.Tensor,
    ask: Ask,
    multimask_output: bool,
) -> None:
    generator = torch.Generator().manual_seed(5)
    coords = 1023 * torch.rand(ask.batch, ask.points, 2, generator=generator)
    labels = torch.randint(0, 2, (ask.batch, ask.points), generator=generator)
    box = torch.tensor([[100.0, 120.0, 700.0, 500.0]]).expand(ask.batch, -1)
    logits = 4 * torch.randn(ask.batch, 1, 256, 256, generator=generator)
    with torch.inference_mode():
        sparse, dense = bundled_sam.prompt_encoder(
            points=(coords, labels) if ask.points else None,
            boxes=box if ask.box else None,
            masks=logits if ask.mask_input else None,
        )
        question = {
            "image_embeddings": embedding,
            "image_pe": bundled_sam.prompt_encoder.get_dense_pe(),
            "sparse_prompt_embeddings": sparse,
            "dense_prompt_embeddings": dense,
            "multimask_output": multimask_output,
        }
        expected_logits, expected_ious = bundled_sam.mask_decoder(**question)
        actual_logits, actual_ious = fast(**question)
    assert actual_logits.shape == expected_logits.shape
    error = (actual_logits - expected_logits).norm() / expected_logits.norm()
    assert float(error) <= 1e-5
    assert torch.allclose(actual_ious, expected_ious, atol=1e-5)
