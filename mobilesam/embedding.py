"""The image encoder: from the pixels of a photo to an image embedding."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mobilesam.frame import CropXYXY, Frame
from mobilesam.images import Photo
from mobilesam.model.backend import ModelBackend
from mobilesam.runtime import run_at_low_priority

logger = logging.getLogger(__name__)

_LARGEST_CODE = 32767  # of int16


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """The encoder's output for one photo or a crop of it, on which every prompt is decoded.

    It is kept in 16 bits a value, so that twice as many fit into the cache: as integers with a
    scale for each channel. Logits change by less than 0.001, with float16 by up to 0.005.

    Attributes:
        codes: (1, 256, 64, 64) int16, on the device where the photo was encoded.
        scales: (1, 256, 1, 1) float32: `features` are the product of both.
        frame: what was encoded: the photo or a crop of it, scaled to a longer side of 1024.
        key: identifies photo, crop and checkpoint; equal keys mean equal features.
        note: a sentence for the user if the photo was encoded on the CPU instead of the GPU.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    frame: Frame
    key: str
    note: str = ""

    @classmethod
    @torch.inference_mode()
    def of(cls, features: torch.Tensor, frame: Frame, key: str, note: str = "") -> Self:
        """Keeps (1, 256, 64, 64) features of any float dtype, also half precision."""
        features = features.float()  # in float16 a code of 32767 would round to 32768
        scales = features.abs().amax((2, 3), keepdim=True) / _LARGEST_CODE
        scales = scales.clamp_min(torch.finfo(torch.float32).tiny)  # a channel may be all zeros
        codes = (features / scales).round().to(torch.int16)
        return cls(codes, scales, frame, key, note)

    @property
    def features(self) -> torch.Tensor:
        """(1, 256, 64, 64) float32, computed at each access."""
        return self.codes.float().mul_(self.scales)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.codes.nbytes + self.scales.nbytes

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the upright photo."""
        return self.frame.original_size

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) of what was encoded within the model's square of 1024, before padding."""
        return self.frame.input_size


def compute_embedding(
    backend: ModelBackend, photo: Photo, key: str, crop_xyxy: CropXYXY | None = None
) -> ImageEmbedding:
    """Encodes a photo or a crop of it in the backend's thread for it.

    If the memory of the GPU is full, the CPU encodes.

    Raises:
        torch.OutOfMemoryError: memory is full, and the backend has no encoder on the CPU.
    """
    frame = Frame.of(photo.size_hw, backend.image_size, crop_xyxy)
    scaled = _scaled(photo.pixels[frame.encoded_part(photo.size_hw)], frame.input_size)
    pixels = torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0)

    def embed(encode: Callable[[torch.Tensor], torch.Tensor], note: str = "") -> ImageEmbedding:
        return ImageEmbedding.of(encode(pixels), frame, key, note)

    try:
        return backend.threads.encode(partial(embed, backend.encode))
    except torch.OutOfMemoryError:
        if backend.encode_on_cpu is None:
            raise
        note = "The GPU's memory was full, so this photo was encoded on the CPU."
        logger.warning(note)
        return run_at_low_priority(partial(embed, backend.encode_on_cpu, note))


def _scaled(pixels: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Scales to (H, W) with Pillow's bilinear filter, as segment-anything's predictor does."""
    if pixels.shape[:2] == size_hw:
        return pixels
    scaled = Image.fromarray(pixels).resize(size_hw[::-1], Image.Resampling.BILINEAR)
    return np.array(scaled)
