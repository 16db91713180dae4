"""The one door for pixels: whatever comes in leaves as upright RGB uint8 within the limits."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mobilesam.errors import ImageError
from mobilesam.settings import MEGA, ImageLimits

ImageSource: TypeAlias = Image.Image | str | os.PathLike[str] | NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Pillow decoders that a photo may reach; the rarer ones stay out of a stranger's hands."""

MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten; thousands, each decoded over the whole photo, are an attack."""

_ORIENTATION_TAG = 0x0112
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", b"\xff\xda"


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright (EXIF orientation applied), transparency over white.
        notes: sentences that the visitor should know, such as which frame was taken.
        browser_agrees: False where a browser may show the file otherwise than `pixels`.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    browser_agrees: bool = True

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and the pixels: equal for equal photos, whatever their file."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()


def scaled_size(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """(H, W) after scaling the long side, rounded as segment-anything's ResizeLongestSide does.

    A side never falls below one pixel, where the original would make an empty image.
    """
    scale = long_side / max(size_hw)
    height, width = (max(1, int(side * scale + 0.5)) for side in size_hw)
    return height, width


def open_photo(source: ImageSource, limits: ImageLimits | None = None) -> Photo:
    """Reads a photo from a file, a PIL image or an array.

    Args:
        source: a path, a PIL image, or an (H, W, 3) uint8 RGB array that is upright already.
        limits: what the photo may be at most; None for the defaults.

    Raises:
        ImageError: it is not an image, is damaged, is too large, or has the wrong shape or dtype.
    """
    limits = limits or ImageLimits()
    if isinstance(source, np.ndarray):
        return Photo(_checked_array(source, limits))
    if isinstance(source, Image.Image):
        return _guarded_decode(source, limits)
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"A photo is a path, a PIL image or an array, not {type(source).__name__}."
        )
    return _guarded_decode(io.BytesIO(_file_bytes(Path(source), limits)), limits)


def _guarded_decode(source: Image.Image | io.BytesIO, limits: ImageLimits) -> Photo:
    """Decodes, and turns whatever Pillow raises on a bad file into one sentence."""
    try:
        if isinstance(source, Image.Image):
            return _decoded(source, limits)
        with warnings.catch_warnings():
            # Pillow warns of large headers and odd metadata; the pixel limit is checked below.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=FORMATS) as image:
                return _decoded(image, limits)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            "This file is not a photo that can be read; use JPEG, PNG, WebP, BMP, GIF or TIFF."
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(_too_many_pixels(limits)) from None
    except MemoryError:
        raise ImageError("The photo needs more memory than there is; use a smaller one.") from None
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files.
        raise ImageError(
            "The photo is damaged or incomplete and cannot be decoded; save it again and retry."
        ) from error


def _file_bytes(path: Path, limits: ImageLimits) -> bytes:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise ImageError("The photo cannot be opened: it is not a file.")
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise ImageError(f"The photo cannot be opened: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL in the name
        raise ImageError(f"The photo cannot be opened: {error}.") from error
    if not data:
        raise ImageError("The file is empty.")
    if data.startswith(_JPEG_START) and data.count(_JPEG_SCAN) > MAX_JPEG_SCANS:
        raise ImageError("The photo is coded in far too many passes; save it again and retry.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            f"The file is larger than {limits.max_bytes / MEGA:g} MB; use a smaller photo."
        )
    return data


def _decoded(image: Image.Image, limits: ImageLimits) -> Photo:
    """Checks the header's size, then decodes the first frame, upright and over white."""
    if image.width * image.height > limits.max_pixels:
        raise ImageError(_too_many_pixels(limits))
    if 0 in image.size:
        raise ImageError("The photo has no pixels.")
    notes: tuple[str, ...] = ()
    # Not n_frames: counting the pages of a hostile TIFF takes minutes.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.seek(0)
        notes = (f"Animated {image.format or 'image'}: only its first frame is used.",)
    rotated = image.getexif().get(_ORIENTATION_TAG, 1) != 1
    jpeg = image.format in {"JPEG", "MPO"}
    browser_agrees = (
        (jpeg or (image.format in {"PNG", "WEBP", "BMP", "GIF"} and not rotated))
        and image.mode in {"RGB", "L", "P", "1"}
        and "transparency" not in image.info
    )
    # Each copy of a large photo is tens of megabytes: upright pictures are not copied.
    upright = ImageOps.exif_transpose(image) if rotated else image
    return Photo(np.array(_to_rgb(upright)), notes, browser_agrees)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = np.asarray(image, dtype=np.float32)
        # 16-bit files use their whole range; anything else is stretched to what it holds.
        top = 65535.0 if image.mode.startswith("I;16") else max(float(np.nanmax(values)), 1.0)
        scaled = np.nan_to_num(np.clip(values / top, 0, 1)) * 255
        return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _checked_array(array: NDArray[np.uint8], limits: ImageLimits) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"An array must be (H, W, 3) uint8 RGB, not {array.shape} {array.dtype}.")
    if array.shape[0] * array.shape[1] > limits.max_pixels:
        raise ImageError(_too_many_pixels(limits))
    return np.array(array, dtype=np.uint8)


def _too_many_pixels(limits: ImageLimits) -> str:
    return f"The photo has more than {limits.max_pixels / MEGA:g} megapixels; use a smaller one."
