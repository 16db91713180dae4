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
from mobilesam.model.fast_layers import is_faster, linear, random_matrices
from mobilesam.model.gpu import GpuModel
from mobilesam.model.graphs import CudaDevice, GraphDevice
from mobilesam.model.sam import TinyVitEncoder
from mobilesam.runtime import CpuThreads, GpuThread, ModelThreads
from mobilesam.settings import Precision

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
        device: of embeddings and masks.
        image_size: the longer side of the input of `encode`, in pixels.
        mask_threshold: the logit above which a pixel belongs to a mask.
        name: for the log.
        confidence_weight: of the weights, see `mobilesam.candidates.candidate_scores`.
        encode_on_cpu: `encode` on the CPU, for when the memory of another device is full.
        fetch: copies tensors from the device to arrays.
        threads: where to call all of these.
        prompts_at_once: how many prompts are best decoded in a batch.
        upscales_masks: whether many masks are best upscaled on the device.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    device: torch.device
    image_size: int
    mask_threshold: float
    name: str
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
    a fallback. `precision` is the encoder's; `"auto"` is float16 with CUDA, bfloat16 on a CPU that
    has AMX, else float32.

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
        precision = "bfloat16" if bfloat16_is_faster() else "float32"
    return fast_backend(sam, getattr(torch, precision))


def _gpu_backend(sam: Sam, precision: Precision) -> ModelBackend:
    if sam.device.type != "cuda" or not isinstance(sam.image_encoder, TinyVitEncoder):
        return plain_backend(sam)
    dtype = getattr(torch, "float16" if precision == "auto" else precision)
    return graphs_backend(sam, dtype, CudaDevice(sam.device))


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
        device=sam.device,
        image_size=sam.image_encoder.img_size,
        mask_threshold=sam.mask_threshold,
        name="plain float32",
    )


def fast_backend(sam: Sam, dtype: torch.dtype) -> ModelBackend:
    """The fast modules for a CPU, the encoder in `dtype` and the decoder in float32."""
    encoder = FastEncoder(sam.image_encoder, dtype)
    mean, std = cast(torch.Tensor, sam.pixel_mean), cast(torch.Tensor, sam.pixel_std)
    plain = plain_backend(sam)
    return replace(
        plain,
        encode=lambda rgb: encoder((rgb.float() - mean) / std),
        decode=replace(
            cast(PromptDecoder, plain.decode), mask_decoder=FastDecoder(sam.mask_decoder)
        ),
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
        name=f"fast {_name(dtype)}, CUDA graphs",
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


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
