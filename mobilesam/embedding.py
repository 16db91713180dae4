"""The heavy step, once per photo: pixels to SAM's image embedding."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mobilesam.images import Photo, scaled_size
from mobilesam.model.backend import ModelBackend

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """What the encoder saw in one photo; every prompt on the photo starts from it.

    Attributes:
        features: (1, 256, 64, 64) float32, on the model's device.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo as the encoder saw it, its long side 1024, before padding.
        key: identifies photo and checkpoint; equal keys mean equal features.
        note: a sentence for the visitor where the encoder had to make do, else empty.
    """

    features: torch.Tensor
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    key: str
    note: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes that the features hold."""
        return self.features.numel() * self.features.element_size()


def encode_photo(network: ModelBackend, photo: Photo, key: str) -> ImageEmbedding:
    """Encodes a photo.

    The pixels are scaled with Pillow's bilinear filter as segment-anything's predictor does.

    Args:
        network: the modules that encode.
        photo: the upright photo.
        key: what the embedding shall be known by.
    """
    input_size = scaled_size(photo.size_hw, network.image_size)
    pixels = torch.from_numpy(_resize(photo.pixels, input_size)).permute(2, 0, 1).unsqueeze(0)
    note = ""
    try:
        features = _encode(network, pixels)
    except torch.OutOfMemoryError:
        if network.encode_on_cpu is None:
            raise
        note = "The GPU's memory was full, so this photo was encoded on the CPU."
        logger.warning(note)
        features = network.encode_on_cpu(pixels.float()).to(network.device)
    return ImageEmbedding(features, photo.size_hw, input_size, key, note)


def _encode(network: ModelBackend, pixels: torch.Tensor) -> torch.Tensor:
    """The embedding; where the device's memory is full, tried once more when it has been tidied."""
    try:
        return network.encode(pixels.to(network.device).float())
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()  # does nothing without CUDA
    return network.encode(pixels.to(network.device).float())


def _resize(pixels: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size_hw
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
