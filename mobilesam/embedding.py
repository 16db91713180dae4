"""The image encoder: from the pixels of a photo to an image embedding."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from mobilesam.images import Photo, scaled_size
from mobilesam.model.backend import ModelBackend

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """The encoder's output for one photo, on which every prompt is decoded.

    Attributes:
        features: (1, 256, 64, 64) float32, on the model's device.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo scaled to a longer side of 1024, before padding.
        key: identifies photo and checkpoint; equal keys mean equal features.
        note: a sentence for the user if the photo was encoded on the CPU instead of the GPU.
    """

    features: torch.Tensor
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    key: str
    note: str = ""


def compute_embedding(backend: ModelBackend, photo: Photo, key: str) -> ImageEmbedding:
    """Encodes a photo, on the CPU if the memory of the GPU is full.

    Raises:
        torch.OutOfMemoryError: memory is full, and the backend has no encoder on the CPU.
    """
    input_size = scaled_size(photo.size_hw, backend.image_size)
    # segment-anything's predictor scales with Pillow's bilinear filter, too.
    scaled = Image.fromarray(photo.pixels).resize(input_size[::-1], Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(scaled)).permute(2, 0, 1).unsqueeze(0)
    note = ""
    try:
        features = backend.encode(pixels.to(backend.device).float())
    except torch.OutOfMemoryError:
        if backend.encode_on_cpu is None:
            raise
        note = "The GPU's memory was full, so this photo was encoded on the CPU."
        logger.warning(note)
        features = backend.encode_on_cpu(pixels.float()).to(backend.device)
    return ImageEmbedding(features, photo.size_hw, input_size, key, note)
