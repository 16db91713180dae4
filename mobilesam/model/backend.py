"""Chooses between the reference modules and the fast ones; nothing else makes this choice."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import PromptEncoder, Sam

from mobilesam.errors import MobileSamError
from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.fast_encoder import FastEncoder
from mobilesam.model.fast_layers import gain_of, linear, random_matrices
from mobilesam.model.gpu import GpuModel
from mobilesam.model.graphs import CudaDevice, GraphDevice
from mobilesam.model.sam import TinyVitEncoder
from mobilesam.runtime import CpuThreads, GpuThread, ModelThreads
from mobilesam.settings import Precision

_BFLOAT16_GAIN = 1.5  # the encoder gains less than its products

MaskDecoder: TypeAlias = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""Called as segment_anything's MaskDecoder."""


@dataclass(frozen=True, eq=False)
class PromptDecoder:
    """From an image embedding and prompts to mask logits.

    Attributes:
        prompt_encoder: segment_anything's.
        mask_decoder: segment_anything's, or the fast one with the same signature.
        image_pe: (1, 256, 64, 64) positional encoding of the image.
    """

    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder
    image_pe: torch.Tensor

    @torch.inference_mode()
    def __call__(
        self,
        features: torch.Tensor,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None,
        multimask_output: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decodes B prompts on one photo, in pixels of the model's input.

        Args:
            features: (1, 256, 64, 64) float32, the image embedding, on any device.
            points: (B, N, 2) float32 XY and (B, N) int64 labels, on the CPU like all prompts.
            boxes: (B, 4) float32 XYXY.
            masks: (B, 1, 256, 256) float32 logits to refine.
            multimask_output: whether C is 3 or 1.

        Returns:
            low_res_logits (B, C, 256, 256) and iou_predictions (B, C), float32, on the device.
        """
        device = self.image_pe.device
        if points:
            points = points[0].to(device), points[1].to(device)
        boxes, masks = (None if given is None else given.to(device) for given in (boxes, masks))
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=masks)
        return self.mask_decoder(
            image_embeddings=features.to(device),
            image_pe=self.image_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
        )


def _fetch(*tensors: torch.Tensor) -> list[NDArray[np.float32]]:
    return [tensor.cpu().numpy() for tensor in tensors]


@dataclass(frozen=True, eq=False)
class ModelBackend:
    """The functions that turn photos and prompts into masks, and the threads they belong in.

    Attributes:
        encode: maps (1, 3, h, w) uint8 RGB on the CPU, the longer side 1024, to the
            (1, 256, 64, 64) float32 image embedding on the device.
        decode: as `PromptDecoder`.
        prompt_encoder: segment_anything's, with the weights of `decode`.
        mask_decoder: segment_anything's or the fast one, likewise.
        device: of embeddings and masks.
        image_size: the longer side of the input of `encode`, in pixels.
        mask_threshold: the logit above which a pixel belongs to a mask.
        name: the kind of modules and their precision, for the log and /healthz.
        reason: why they have that precision, likewise.
        confidence_weight: of the weights, see `mobilesam.candidates.candidate_scores`.
        encode_on_cpu: `encode` on the CPU, for when the memory of another device is full.
        fetch: copies tensors from the device to arrays.
        threads: where to call all of these.
        prompts_at_once: how many prompts are best decoded in a batch.
        upscales_masks: whether many masks are best upscaled on the device.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    prompt_encoder: PromptEncoder
    mask_decoder: MaskDecoder
    device: torch.device
    image_size: int
    mask_threshold: float
    name: str
    reason: str = ""
    confidence_weight: float = 0.0
    encode_on_cpu: Callable[[torch.Tensor], torch.Tensor] | None = None
    fetch: Callable[..., list[NDArray[np.float32]]] = _fetch
    threads: ModelThreads = field(default_factory=CpuThreads)
    prompts_at_once: int = 16
    upscales_masks: bool = False


def choose_backend(sam: Sam, precision: Precision = "auto") -> ModelBackend:
    """Chooses the fastest modules for the device of a model in eval mode.

    On a CPU and on GPUs with CUDA these are the fast modules. On other devices, and for an encoder
    other than TinyViT, they are the reference modules. For every GPU, the CPU's encoder is kept as
    a fallback. `precision` is the encoder's; `"auto"` is float16 with CUDA, and on a CPU bfloat16
    if it is faster there.

    Raises:
        MobileSamError: the device does not have this precision.
    """
    if sam.device.type == "cpu":
        return _cpu_backend(sam, precision)
    fallback = _cpu_backend(copy.deepcopy(sam).cpu(), "auto")
    threads = GpuThread()
    chosen = threads.encode(lambda: _gpu_backend(sam, precision))
    return replace(chosen, encode_on_cpu=fallback.encode, threads=threads)


def _cpu_backend(sam: Sam, precision: Precision) -> ModelBackend:
    if precision == "float16":
        raise MobileSamError("float16 is for GPUs. Set MOBILESAM_PRECISION to auto on a CPU.")
    if not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_backend(sam)
    if precision == "auto":
        dtype, reason = faster_precision()
    else:
        dtype, reason = getattr(torch, precision), "as set"
    return replace(fast_backend(sam, dtype), reason=reason)


def _gpu_backend(sam: Sam, precision: Precision) -> ModelBackend:
    if sam.device.type != "cuda" or not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_backend(sam)
    if precision == "auto":
        dtype, reason = torch.float16, "as fast as bfloat16 on a GPU, and closer to float32"
    else:
        dtype, reason = getattr(torch, precision), "as set"
    return replace(graphs_backend(sam, dtype, CudaDevice(sam.device)), reason=reason)


def choose_decoder(sam: Sam) -> MaskDecoder:
    """The faster mask decoder for the device of a model in eval mode, with its present weights."""
    return FastDecoder(sam.mask_decoder) if sam.device.type == "cpu" else sam.mask_decoder


@torch.inference_mode()
def plain_backend(sam: Sam) -> ModelBackend:
    """The reference: the unchanged modules of timm and segment_anything."""
    image_pe = sam.prompt_encoder.get_dense_pe()

    def encode(rgb: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = sam.image_encoder(sam.preprocess(rgb.to(sam.device).float()))
        return features

    return ModelBackend(
        encode=torch.inference_mode()(encode),
        decode=PromptDecoder(sam.prompt_encoder, sam.mask_decoder, image_pe),
        prompt_encoder=sam.prompt_encoder,
        mask_decoder=sam.mask_decoder,
        device=sam.device,
        image_size=sam.image_encoder.img_size,
        mask_threshold=sam.mask_threshold,
        name="plain float32",
    )


def fast_backend(sam: Sam, dtype: torch.dtype) -> ModelBackend:
    """The fast modules for a CPU, the encoder in `dtype` and the decoder in float32."""
    encoder = FastEncoder(sam.image_encoder, dtype)
    mean, std = cast(torch.Tensor, sam.pixel_mean), cast(torch.Tensor, sam.pixel_std)
    plain, decoder = plain_backend(sam), FastDecoder(sam.mask_decoder)
    return replace(
        plain,
        encode=lambda rgb: encoder((rgb.float() - mean) / std),
        decode=replace(cast(PromptDecoder, plain.decode), mask_decoder=decoder),
        mask_decoder=decoder,
        name=f"fast {_name(dtype)}",
    )


def graphs_backend(sam: Sam, dtype: torch.dtype, device: GraphDevice) -> ModelBackend:
    """The fast modules for a GPU, the encoder in `dtype` and the decoder in float32."""
    plain = plain_backend(sam)
    model = GpuModel(sam, dtype, plain.encode, device)
    return replace(
        plain,
        encode=model.encode,
        decode=model.decode,
        fetch=device.fetch,
        prompts_at_once=64,
        upscales_masks=True,
        name=f"fast {_name(dtype)}",
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
