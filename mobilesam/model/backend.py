"""Which modules answer, the plain ones or the fast ones: decided here and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import torch
from segment_anything.modeling import PromptEncoder, Sam

from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.matmul import gain, product
from mobilesam.model.tiny_vit import TinyVitEncoder
from mobilesam.settings import Precision

_BFLOAT16_MUST_GAIN = 1.5
_BFLOAT16_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class ModelBackend:
    """The modules that turn photos and prompts into masks.

    Attributes:
        encode: (1, 3, h, w) float RGB 0..255, the longer side 1024, to the (1, 256, 64, 64)
            float32 image embedding.
        prompt_encoder: segment_anything's.
        mask_decoder: segment_anything's, or the fast one with the same call.
        image_pe: (1, 256, 64, 64) positional encoding of the image.
        image_size: the longer side that `encode` wants, in pixels.
        mask_threshold: the logit above which a pixel is in a mask.
        name: what was chosen, for the log.
        encode_on_cpu: as `encode`, for when the memory of another device is full.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    prompt_encoder: PromptEncoder
    mask_decoder: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    image_pe: torch.Tensor
    image_size: int
    mask_threshold: float
    name: str
    encode_on_cpu: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where the modules run."""
        return self.image_pe.device


def choose_backend(sam: Sam, precision: Precision = "auto") -> ModelBackend:
    """The fastest modules that this machine runs well.

    On a CPU these are the fast ones, in float32, or with the encoder in bfloat16 where the
    processor multiplies matrices in it (AMX). Elsewhere, and for an encoder that is not TinyViT,
    the plain ones; elsewhere with the CPU's encoder in reserve.

    Args:
        sam: the model in eval mode.
        precision: of the encoder on a CPU; `"auto"` for the rule above.
    """
    if sam.device.type != "cpu":
        spare = choose_backend(copy.deepcopy(sam).cpu(), precision)
        return replace(plain_network(sam), encode_on_cpu=spare.encode)
    if not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_network(sam)
    if precision == "auto":
        precision = "bfloat16" if bfloat16_pays() else "float32"
    return fast_network(sam, getattr(torch, precision))


def plain_network(sam: Sam) -> ModelBackend:
    """The reference: the modules of timm and segment_anything as they are."""

    @torch.inference_mode()
    def encode(rgb: torch.Tensor) -> torch.Tensor:
        embedding: torch.Tensor = sam.image_encoder(sam.preprocess(rgb))
        return embedding

    return _network(sam, encode, sam.mask_decoder, "plain float32")


def fast_network(sam: Sam, dtype: torch.dtype) -> ModelBackend:
    """The rewritten modules, for a CPU.

    Args:
        sam: the model; its weights are copied where they have to be rearranged.
        dtype: of the encoder. The decoder stays in float32.
    """
    encoder = FastEncoder(cast(TinyVitEncoder, sam.image_encoder), dtype)
    mean, std = cast(torch.Tensor, sam.pixel_mean), cast(torch.Tensor, sam.pixel_std)

    @torch.inference_mode()
    def encode(rgb: torch.Tensor) -> torch.Tensor:
        return encoder((rgb - mean) / std)

    name = f"fast {str(dtype).removeprefix('torch.')}"
    return _network(sam, encode, FastDecoder(sam.mask_decoder), name)


def bfloat16_pays() -> bool:
    """Whether the processor has AMX, and a product of the encoder's shape gains by it, rightly."""
    try:
        if not torch.cpu._is_amx_tile_supported():
            return False
    except AttributeError:  # private, and not in every torch
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 640, generator=generator)
    weight = torch.randn(640, 640, generator=generator)
    expected = x @ weight
    x16, weight16 = x.bfloat16(), weight.bfloat16()
    error = ((x16 @ weight16).float() - expected).norm() / expected.norm()
    if not bool(error < _BFLOAT16_TOLERANCE):
        return False
    return gain(lambda: product(x, weight), lambda: x16 @ weight16) > _BFLOAT16_MUST_GAIN


def _network(
    sam: Sam,
    encode: Callable[[torch.Tensor], torch.Tensor],
    mask_decoder: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    name: str,
) -> ModelBackend:
    with torch.inference_mode():
        image_pe = sam.prompt_encoder.get_dense_pe()
    return ModelBackend(
        encode,
        sam.prompt_encoder,
        mask_decoder,
        image_pe,
        sam.image_encoder.img_size,
        sam.mask_threshold,
        name,
    )
