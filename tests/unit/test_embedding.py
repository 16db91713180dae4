"""Embeddings in 16 bits: how far they are from the encoder's output, and what follows for masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.agreement import gridded_prompts
from mobilesam import Segmenter
from mobilesam.embedding import ImageEmbedding, compute_embedding
from mobilesam.frame import Frame
from mobilesam.predict import predict_masks
from tests.serving import ROOT

FRAME = Frame.of((300, 400), 1024, None)
EXAMPLES = ROOT / "examples"


def random_features() -> torch.Tensor:
    """Channels of very different sizes, in NHWC memory order as the encoder returns them."""
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(1, 64, 64, 256, generator=generator).permute(0, 3, 1, 2)
    return values * torch.logspace(-6, 2, 256).view(1, -1, 1, 1)


def test_every_channel_is_exact_to_half_a_step_of_its_own_range():
    features = random_features()
    kept = ImageEmbedding.of(features, FRAME, "key").features
    largest = features.abs().amax((2, 3), keepdim=True)
    assert ((kept - features).abs() <= 0.51 * largest / 32767).all()
    assert kept.dtype == torch.float32
    assert kept.stride() == features.stride()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_in_half_precision_keep_their_values(dtype: torch.dtype):
    features = random_features().to(dtype)
    kept = ImageEmbedding.of(features, FRAME, "key")
    largest = features.float().abs().amax((2, 3), keepdim=True)
    assert ((kept.features - features.float()).abs() <= 0.51 * largest / 32767).all()
    assert kept.scales.dtype == torch.float32


def test_an_empty_channel_stays_empty():
    features = random_features()
    features[:, 7] = 0
    assert not ImageEmbedding.of(features, FRAME, "key").features[:, 7].any()


def test_it_takes_half_the_memory_and_its_features_can_be_changed():
    features = random_features()
    embedding = ImageEmbedding.of(features, FRAME, "key")
    assert embedding.nbytes == features.nbytes // 2 + 256 * 4
    before = embedding.features
    embedding.features.zero_()
    assert embedding.features.equal(before)


@pytest.mark.slow
@pytest.mark.parametrize("photo", ["dog.jpg", "cell.png"])
def test_logits_change_by_less_than_a_thousandth(bundled: Segmenter, photo: str):
    backend = bundled.backend
    opened = bundled.open(Path(EXAMPLES / photo))
    exact_features: list[torch.Tensor] = []

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        exact_features.append(backend.encode(pixels))
        return exact_features[0]

    kept = compute_embedding(replace(backend, encode=encode), opened, "key")
    exact = ImageEmbedding(exact_features[0].clone(), torch.ones(1), kept.frame, "exact")
    for prompt in gridded_prompts(opened.size_hw, seed=3):
        one, other = (predict_masks(backend, each, prompt) for each in (kept, exact))
        assert np.abs(one.low_res_logits - other.low_res_logits).max() < 1e-3
        assert one.best == other.best
