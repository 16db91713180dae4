"""Chooses between the reference modules and the fast ones; nothing else makes this choice."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import torch
from segment_anything.modeling import PromptEncoder, Sam

from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.fast_layers import gain_of, linear, random_matrices
from mobilesam.model.sam import TinyVitEncoder
from mobilesam.settings import Precision

_BFLOAT16_GAIN = 1.5  # the encoder gains less than its products

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
        name: the kind of modules and their precision, for the log and /healthz.
        reason: why they have that precision, likewise.
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
    reason: str = ""
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
    `precision` is the encoder's on a CPU; `"auto"` is bfloat16 if it is faster there.
    """
    if sam.device.type != "cpu":
        fallback = choose_backend(copy.deepcopy(sam).cpu(), precision)
        return replace(plain_backend(sam), encode_on_cpu=fallback.encode)
    if not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_backend(sam)
    if precision == "auto":
        dtype, reason = faster_precision()
    else:
        dtype, reason = getattr(torch, precision), "as set"
    return replace(fast_backend(sam, dtype), reason=reason)


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


def faster_precision() -> tuple[torch.dtype, str]:
    """The faster precision for the encoder on this CPU, and a phrase that says why.

    It is bfloat16 if torch supports it and a product of the encoder's size is correct and at least
    `_BFLOAT16_GAIN` times as fast: on CPUs with AMX or AVX512_BF16, as far as is known.
    """
    try:
        is_supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # private
    except (AttributeError, RuntimeError):
        is_supported = False
    if not is_supported:
        return torch.float32, "torch does not support bfloat16 on this CPU"
    x, weight = random_matrices((4096, 640), (640, 640))
    x16, weight16 = x.bfloat16(), weight.bfloat16()
    gain = gain_of(lambda: linear(x16, weight16), lambda: linear(x, weight), tolerance=0.02)
    if gain is None:
        return torch.float32, "bfloat16 products are wrong on this CPU"
    dtype = torch.bfloat16 if gain >= _BFLOAT16_GAIN else torch.float32
    return dtype, f"bfloat16 products are {gain:.1f} times as fast as float32 on this CPU"
