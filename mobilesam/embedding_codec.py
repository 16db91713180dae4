"""Image embeddings as bytes, for a cache outside the process."""

import hashlib
import struct

import numpy as np
import torch

from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import PromptError
from mobilesam.frame import Frame, checked_crop

_VERSION = b"\x01"  # to be changed with the format
_DIGEST_BYTES = 16
_FRAME = struct.Struct("<8I")  # original_size, input_size, crop_xyxy; no crop is (0, 0, 0, 0)
_CHANNELS, _SIDE = 256, 64
_INPUT_SIDE = 16 * _SIDE
_MAX_SCALE = np.float32(65504 / 32767)  # the encoder's features fit into float16
_SCALES_AT = _FRAME.size
_CODES_AT = _SCALES_AT + 4 * _CHANNELS
_CONTENT_BYTES = _CODES_AT + 2 * _CHANNELS * _SIDE * _SIDE


def encode_embedding(embedding: ImageEmbedding) -> bytes:
    """2.1 MB: a version byte, a digest of the key and of all that follows, frame, scales, codes.

    Numbers are little-endian. The note of the embedding is left out.
    """
    frame = embedding.frame
    sizes = *frame.original_size, *frame.input_size, *(frame.crop_xyxy or (0, 0, 0, 0))
    scales = embedding.scales.cpu().numpy().astype("<f4", copy=False)
    codes = embedding.codes.cpu().numpy().astype("<i2", copy=False)
    content = b"".join([_FRAME.pack(*sizes), scales.tobytes(), codes.tobytes()])
    return b"".join([_VERSION, _digest(embedding.key, content), content])


def decode_embedding(
    value: bytes, key: str, device: torch.device, max_pixels: int
) -> ImageEmbedding | None:
    """The embedding on a device.

    None if the value is damaged, was stored under another key, has another version, or is of no
    photo of at most `max_pixels`: other programs may have written it.
    """
    header, content = value[: 1 + _DIGEST_BYTES], memoryview(value)[1 + _DIGEST_BYTES :]
    if len(content) != _CONTENT_BYTES or header != _VERSION + _digest(key, content):
        return None
    frame = _read_frame(content, max_pixels)
    scales = np.frombuffer(content[_SCALES_AT:_CODES_AT], "<f4").astype(np.float32)
    codes = np.frombuffer(content[_CODES_AT:], "<i2").astype(np.int16)
    if frame is None or not ((scales > 0) & (scales <= _MAX_SCALE)).all():  # also if one is NaN
        return None
    return ImageEmbedding(
        torch.from_numpy(codes).view(1, _CHANNELS, _SIDE, _SIDE).to(device),
        torch.from_numpy(scales).view(1, _CHANNELS, 1, 1).to(device),
        frame,
        key,
    )


def _read_frame(content: memoryview, max_pixels: int) -> Frame | None:
    """The frame; None if no photo or crop has it."""
    height, width, input_height, input_width, *xyxy = _FRAME.unpack_from(content)
    size = height, width
    if not 0 < height * width <= max_pixels:
        return None
    try:
        crop = checked_crop(xyxy, size) if any(xyxy) else None
    except PromptError:
        return None
    frame = Frame.of(size, _INPUT_SIDE, crop)
    is_same = frame.input_size == (input_height, input_width) and bool(crop) == any(xyxy)
    return frame if is_same else None


def _digest(key: str, content: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES)
    digest.update(content)
    return digest.digest()
