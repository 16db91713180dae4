"""Chooses between the reference modules and the fast ones; nothing else makes this choice."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import torch
from segment_anything.modeling import PromptEncoder, Sam

from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.fast_layers import is_faster, linear, random_matrices
from mobilesam.model.sam import TinyVitEncoder
from mobilesam.settings import Precision

MaskDecoder: TypeAlias = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""Called as segment_anything's MaskDecoder."""


@dataclass(frozen=True, eq=False)
class ModelBackend:
    """The modules that turn photos and prompts into masks.

    Attributes:
        encode: maps (1, 3, h, w) float RGB in 0..255, the longer side 1024, to the
            (1, 256, 64, 64) float32 image embedding.
        prompt_encoder: segment_anything's.
        mask_decoder: segment_anything's, or the fast one with the same signature.
        image_pe: (1, 256, 64, 64) positional encoding of the image.
        image_size: the longer side of the input of `encode`, in pixels.
        mask_threshold: the logit above which a pixel belongs to a mask.
        name: for the log.
        confidence_weight: of the weights, see `mobilesam.candidates.candidate_scores`.
        encode_on_cpu: `encode` on the CPU, for when the memory of another device is full.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder
    image_pe: torch.Tensor
    image_size: int
    mask_threshold: float
    name: str
    confidence_weight: float = 0.0
    encode_on_cpu: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """The device of the modules."""
        return self.image_pe.device


def choose_backend(sam: Sam, precision: Precision = "auto") -> ModelBackend:
    """Chooses the fastest modules for the device of a model in eval mode.

    On a CPU these are the fast modules. On other devices, and for an encoder other than TinyViT,
    they are the reference modules; on other devices the CPU's encoder is kept as a fallback.
    `precision` is the encoder's on a CPU; `"auto"` is bfloat16 if the CPU has AMX, else float32.
    """
    if sam.device.type != "cpu":
        fallback = choose_backend(copy.deepcopy(sam).cpu(), precision)
        return replace(plain_backend(sam), encode_on_cpu=fallback.encode)
    if not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_backend(sam)
    if precision == "auto":
        precision = "bfloat16" if bfloat16_is_faster() else "float32"
    return fast_backend(sam, getattr(torch, precision))


def choose_decoder(sam: Sam) -> MaskDecoder:
    """The faster mask decoder for the device of a model in eval mode, with its present weights."""
    return FastDecoder(sam.mask_decoder) if sam.device.type == "cpu" else sam.mask_decoder


@torch.inference_mode()
def plain_backend(sam: Sam) -> ModelBackend:
    """The reference: the unchanged modules of timm and segment_anything."""
    return ModelBackend(
        encode=torch.inference_mode()(lambda rgb: sam.image_encoder(sam.preprocess(rgb))),
        prompt_encoder=sam.prompt_encoder,
        mask_decoder=sam.mask_decoder,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        image_size=sam.image_encoder.img_size,
        mask_threshold=sam.mask_threshold,
        name="plain float32",
    )


def fast_backend(sam: Sam, dtype: torch.dtype) -> ModelBackend:
    """The fast modules for a CPU, the encoder in `dtype` and the decoder in float32."""
    encoder = FastEncoder(sam.image_encoder, dtype)
    mean, std = cast(torch.Tensor, sam.pixel_mean), cast(torch.Tensor, sam.pixel_std)
    return replace(
        plain_backend(sam),
        encode=lambda rgb: encoder((rgb - mean) / std),
        mask_decoder=FastDecoder(sam.mask_decoder),
        name=f"fast {str(dtype).removeprefix('torch.')}",
    )


def bfloat16_is_faster() -> bool:
    """Whether the CPU has AMX, and bfloat16 is correct and faster for an encoder-sized matrix."""
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private, not in every version
    if has_amx is None or not has_amx():
        return False
    x, weight = random_matrices((4096, 640), (640, 640))
    x16, weight16 = x.bfloat16(), weight.bfloat16()
    return is_faster(
        lambda: linear(x16, weight16), lambda: linear(x, weight), tolerance=0.02, ratio=1.5
    )
