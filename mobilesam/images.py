"""Decodes photos from files, PIL images and arrays to upright uint8 RGB within the limits."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from mobilesam.errors import ImageError
from mobilesam.image_file import BoundedFile, exif_orientation, read_photo_file
from mobilesam.settings import MEGA, ImageLimits

ImageSource: TypeAlias = Image.Image | str | os.PathLike[str] | NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""The decoders of Pillow that are used; the others are an unnecessary attack surface."""

_STRIP_PIXELS = MEGA
_MAX_PROFILE_BYTES = 4 * MEGA  # of a colour profile; those of printers have up to 3 MB
_MAX_PROFILE_TAGS = 100  # as in lcms2, which reads no profile that has more

# Peak memory per pixel: four bytes in the decoder, three in the Photo and a margin.
_DECODER_BYTES = 7.5


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, upright (EXIF orientation applied), transparency over white.
        notes: sentences for the user, for example that only the first frame is used.
        browser_agrees: whether browsers show the file with exactly these pixels.
        format: Pillow's name of the file's format, such as "JPEG"; empty if it was no file.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    browser_agrees: bool = True
    format: str = ""

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and the pixels, which does not depend on the file."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()


def scaled_size(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """(H, W) after scaling the long side, rounded as in segment-anything's ResizeLongestSide.

    A side has at least one pixel, where ResizeLongestSide would return an empty image.
    """
    scale = long_side / max(size_hw)
    height, width = (max(1, int(side * scale + 0.5)) for side in size_hw)
    return height, width


def open_photo(source: ImageSource, limits: ImageLimits | None = None) -> Photo:
    """Reads a photo from a path, a PIL image, or an upright (H, W, 3) uint8 RGB array.

    Without `limits`, the defaults of `ImageLimits` apply.

    Raises:
        ImageError: the source is not an image, is damaged or too large, or an array has the wrong
            shape or dtype.
    """
    limits = limits or ImageLimits()
    if isinstance(source, np.ndarray):
        return Photo(_checked_array(source, limits))
    if not isinstance(source, (str, os.PathLike, Image.Image)):
        raise ImageError(
            f"A photo must be a path, a PIL image or an array, not {type(source).__name__}."
        )
    try:
        if isinstance(source, Image.Image):
            return _decode(source, limits)
        file = BoundedFile(read_photo_file(Path(source), limits.max_bytes))
        with warnings.catch_warnings():
            # Pillow warns about large images and invalid metadata; `_decode` checks the size.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                return _decode(image, limits, file.begin_pixels)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            "This file is not a photo that can be read. Use JPEG, PNG, WebP, BMP, GIF or TIFF."
        ) from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(limits) from None
    except MemoryError:
        raise ImageError("There is not enough memory for the photo. Use a smaller one.") from None
    except Exception as error:  # Pillow's decoders raise many types for damaged files
        raise ImageError(
            "The photo is damaged or incomplete. Save it again in an image editor."
        ) from error


def _decode(
    image: Image.Image, limits: ImageLimits, begin_pixels: Callable[[], None] = lambda: None
) -> Photo:
    """Decodes the first frame, upright and over white."""
    _check_size(image, limits)
    notes: tuple[str, ...] = ()
    # n_frames is not used: counting the pages of a malicious TIFF takes minutes.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        image.seek(0)
        notes = (f"Animated {image.format or 'image'}: only its first frame is used.",)
    begin_pixels()
    image.load()  # also rotates a TIFF, and reads the EXIF of a PNG that has it after the pixels
    orientation = exif_orientation(image)
    browser_agrees = (
        image.format != "TIFF"
        and (image.format in {"JPEG", "MPO"} or orientation == 1)
        and image.mode in {"RGB", "L", "P", "1"}
        and "transparency" not in image.info
    )
    return Photo(_upright_rgb(image, orientation), notes, browser_agrees, image.format or "")


def _check_size(image: Image.Image, limits: ImageLimits) -> None:
    """Checks the number of pixels, of which some decoders need more memory than others."""
    if 0 in image.size:
        raise ImageError("The photo has no pixels.")
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise _too_many_pixels(limits)
    bytes_per_pixel = _DECODER_BYTES
    if image.format == "WEBP":
        bytes_per_pixel = 16  # two frames of four bytes for animations, a copy of one and the image
    elif "progressive" in image.info:  # keeps two bytes of every sample until the last scan
        samples = [across * down for _, across, down, *_ in getattr(image, "layer", [])]
        bytes_per_pixel = max(bytes_per_pixel, 4 + 2 * sum(samples) / max(samples, default=1))
    max_pixels = int(limits.max_pixels * _DECODER_BYTES / bytes_per_pixel)
    if pixels > max_pixels:
        kind = "WebP" if image.format == "WEBP" else "progressive JPEG"
        raise ImageError(
            f"A {kind} with more than {max_pixels / MEGA:.3g} megapixels needs too much memory. "
            "Save it as a PNG or a baseline JPEG."
        )


def _upright_rgb(image: Image.Image, orientation: int) -> NDArray[np.uint8]:
    """Converts strip by strip, as copies of a large photo take hundreds of megabytes."""
    width, height = image.size
    pixels = np.empty((width, height, 3) if orientation > 4 else (height, width, 3), np.uint8)
    stored = _as_stored(pixels, orientation)
    rows = max(1, _STRIP_PIXELS // width)
    strips = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]

    def cut(strip: slice) -> Image.Image:
        return image.crop((0, strip.start, width, strip.stop))

    # 16-bit files use their whole range; 32-bit and float files are scaled by their maximum.
    white = 65535.0
    if image.mode in {"I", "F"}:
        white = max(1.0, *(float(np.nanmax(np.asarray(cut(strip)))) for strip in strips))
    to_srgb = _srgb_transform(image)
    for strip in strips:
        stored[strip] = _to_rgb(cut(strip), white, to_srgb)
    return pixels


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A view of upright pixels in the order of a file with an EXIF orientation."""
    view = upright.transpose(1, 0, 2) if orientation > 4 else upright
    rows = -1 if orientation in {3, 4, 6, 7} else 1
    columns = -1 if orientation in {2, 3, 7, 8} else 1
    return view[::rows, ::columns]


def _srgb_transform(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Converts colours to sRGB; None if the image has no other profile that can be used."""
    data = image.info.get("icc_profile")
    if not isinstance(data, bytes) or not 0 < len(data) <= _MAX_PROFILE_BYTES:
        return None
    if _has_multi_process_elements(data):
        return None
    mode = {"L": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return None
        # Fails if the profile is damaged, or is one of grey for a colour image, for example.
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _has_multi_process_elements(profile: bytes) -> bool:
    """Whether a profile of the ICC has elements of the type "mpet" (ICC.1:2022, 10.16).

    A few hundred bytes of them can take hours: thousands of entries may name the same matrix.
    """
    count = int.from_bytes(profile[128:132], "big")
    table = profile[132 : 132 + 12 * min(count, _MAX_PROFILE_TAGS)]
    for at in range(0, len(table), 12):
        signature, offset = table[at : at + 4], int.from_bytes(table[at + 4 : at + 8], "big")
        if signature[:3] in (b"D2B", b"B2D") or profile[offset : offset + 4] == b"mpet":
            return True
    return False


def _to_rgb(
    image: Image.Image, white: float, to_srgb: ImageCms.ImageCmsTransform | None
) -> NDArray[np.uint8]:
    """(H, W, 3) pixels; `white` is the value of white in modes with more than eight bits."""
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = np.asarray(image, dtype=np.float32)
        scaled = np.nan_to_num(np.clip(values / white, 0, 1)) * 255
        grey: NDArray[np.uint8] = scaled.round().astype(np.uint8)
        return grey[..., None].repeat(3, axis=2)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode != "RGB" and not (to_srgb and image.mode == to_srgb.input_mode):
        image = image.convert("RGB")
    if to_srgb and image.mode == to_srgb.input_mode:
        image = to_srgb.apply(image)
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels


def _checked_array(array: NDArray[np.uint8], limits: ImageLimits) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"An array must be (H, W, 3) uint8 RGB, not {array.shape} {array.dtype}.")
    if array.shape[0] * array.shape[1] > limits.max_pixels:
        raise _too_many_pixels(limits)
    return np.array(array)


def _too_many_pixels(limits: ImageLimits) -> ImageError:
    megapixels = limits.max_pixels / MEGA
    return ImageError(f"The photo has more than {megapixels:g} megapixels. Use a smaller one.")
