"""The fast encoder against the reference, on the same weights."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.sam import TinyVitEncoder


@pytest.fixture(scope="module")
def encoder(bundled_sam: Sam) -> TinyVitEncoder:
    return bundled_sam.image_encoder


@pytest.fixture(scope="module")
def fast(encoder: TinyVitEncoder) -> FastEncoder:
    return FastEncoder(encoder)


def photo_like(height: int, width: int) -> torch.Tensor:
    """Smooth normalised colours with noise."""
    generator = torch.Generator().manual_seed(height * width)
    coarse = torch.randn(1, 3, 1 + height // 32, 1 + width // 32, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth + 0.1 * torch.randn(1, 3, height, width, generator=generator)


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


def padded(pixels: torch.Tensor) -> torch.Tensor:
    height, width = pixels.shape[2:]
    return torch.nn.functional.pad(pixels, (0, 1024 - width, 0, 1024 - height))


# 1017 rows end within the receptive field of the square's last row; 1 is the smallest side.
@pytest.mark.parametrize(
    "size_hw", [(683, 1024), (1024, 500), (1024, 1024), (1017, 1024), (1, 1024)]
)
def test_the_fast_encoder_gives_the_embedding_of_the_reference_for_every_shape_of_photo(
    encoder: TinyVitEncoder, fast: FastEncoder, size_hw: tuple[int, int]
) -> None:
    pixels = photo_like(*size_hw)
    with torch.inference_mode():
        expected = encoder(padded(pixels))
    actual = fast(pixels)
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    assert relative_error(actual, expected) <= 1e-5
    assert float((actual - expected).abs().max() / expected.abs().max()) <= 1e-4


def test_an_embedding_does_not_depend_on_the_previous_photo(fast: FastEncoder) -> None:
    first = fast(photo_like(1024, 700))
    fast(photo_like(300, 1024))
    assert torch.equal(fast(photo_like(1024, 700)), first)


def test_bfloat16_is_close_to_the_embedding_of_the_reference(encoder: TinyVitEncoder) -> None:
    pixels = photo_like(683, 1024)
    with torch.inference_mode():
        expected = encoder(padded(pixels))
    assert relative_error(FastEncoder(encoder, torch.bfloat16)(pixels), expected) <= 0.03
