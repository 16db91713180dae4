"""Decodes photos from files, PIL images and arrays to upright uint8 RGB within the limits."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError, features

from mobilesam.errors import ImageError
from mobilesam.image_file import BoundedFile, exif_orientation, read_photo_file
from mobilesam.runtime import usable_cores
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.value_range import ValueRange

try:  # an optional extra, see requirements-heic.txt
    import pi_heif
except ImportError:
    pi_heif = None

ImageSource: TypeAlias = Image.Image | str | os.PathLike[str] | NDArray[np.uint8]

_HAS_AVIF = "avif" in features.modules and features.check("avif")  # Pillow 11.3 or newer

FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"),
    *(["AVIF"] if _HAS_AVIF else []),
    *(["HEIF"] if pi_heif else []),
)
"""The decoders of Pillow that are used; the others are an unnecessary attack surface."""

if pi_heif:
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

_STRIP_PIXELS = MEGA
_DIGEST_PART, _DIGEST_THREADS = 1 << 18, 8
_MAX_PROFILE_BYTES = 4 * MEGA  # of a colour profile; those of printers have up to 3 MB
_MAX_PROFILE_TAGS = 100  # as in lcms2, which reads no profile that has more

# Peak memory per pixel: four bytes in the decoder, three in the Photo and a margin.
_DECODER_BYTES = 7.5
# Of these formats: planes or frames of a decoder, a copy and the image, four bytes each at least.
_BYTES_BY_FORMAT = {"WEBP": 16.0, "AVIF": 16.0, "HEIF": 16.0}
_FORMAT_NAMES = {"WEBP": "WebP", "HEIF": "HEIC"}
_BRANDS = {
    "HEIF": ("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"),
    "AVIF": ("avif", "avis"),
}
"""What follows the box "ftyp" at the beginning of a file, as in ISO/IEC 14496-12."""
_MISSING = {
    "HEIF": "HEIC photos cannot be read here. Save the photo as a JPEG, or install "
    "requirements-heic.txt where the demo runs.",
    "AVIF": "AVIF photos cannot be read here. Save the photo as a JPEG, or install Pillow 11.3 or "
    "newer where the demo runs.",
}
_DAMAGED = "The photo is damaged or incomplete. Save it again in an image editor."


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
        """Identifies the shape and the pixels, and does not depend on the file.

        It is SHA-256 over the SHA-256 of parts, which several cores compute at the same time.
        """
        pixels = np.ascontiguousarray(self.pixels).reshape(-1).data
        parts = [pixels[at : at + _DIGEST_PART] for at in range(0, len(pixels), _DIGEST_PART)]
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        with ThreadPoolExecutor(min(len(parts), usable_cores(), _DIGEST_THREADS)) as threads:
            for part in threads.map(hashlib.sha256, parts):
                digest.update(part.digest())
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
        raise ImageError(_unreadable(file.getvalue()[:12])) from None
    except Image.DecompressionBombError:
        raise _too_many_pixels(limits) from None
    except MemoryError:
        raise ImageError("There is not enough memory for the photo. Use a smaller one.") from None
    except Exception as error:  # Pillow's decoders raise many types for damaged files
        raise ImageError(_DAMAGED) from error


def _decode(
    image: Image.Image, limits: ImageLimits, begin_pixels: Callable[[], None] = lambda: None
) -> Photo:
    """Decodes the first frame, upright and over white."""
    _check_size(image, limits)
    notes: tuple[str, ...] = ()
    # n_frames is not used: counting the pages of a malicious TIFF takes minutes.
    if getattr(image, "is_animated", False) and image.format not in {"MPO", "HEIF"}:
        image.seek(0)
        notes = (f"Animated {image.format or 'image'}: only its first frame is used.",)
    begin_pixels()
    image.load()  # also rotates a TIFF, and reads the EXIF of a PNG that has it after the pixels
    orientation = exif_orientation(image)
    browser_agrees = (
        image.format not in {"TIFF", "HEIF"}
        and (image.format in {"JPEG", "MPO"} or orientation == 1)
        and image.mode in {"RGB", "L", "P", "1"}
        and "transparency" not in image.info
    )
    pixels, note = _upright_rgb(image, orientation)
    notes += (note,) if note else ()
    return Photo(pixels, notes, browser_agrees, image.format or "")


def _unreadable(start: bytes) -> str:
    """The sentence about a file that no decoder recognizes, by its first 12 bytes."""
    brand = start[8:12].decode("latin-1") if start[4:8] == b"ftyp" else ""
    for name, brands in _BRANDS.items():
        if brand in brands:
            return _DAMAGED if name in FORMATS else _MISSING[name]
    return "This file is not a photo that can be read. Use JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF."


def _check_size(image: Image.Image, limits: ImageLimits) -> None:
    """Checks the number of pixels, of which some decoders need more memory than others."""
    if 0 in image.size:
        raise ImageError("The photo has no pixels.")
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise _too_many_pixels(limits)
    bytes_per_pixel = _BYTES_BY_FORMAT.get(image.format or "", _DECODER_BYTES)
    if "progressive" in image.info:  # keeps two bytes of every sample until the last scan
        samples = [across * down for _, across, down, *_ in getattr(image, "layer", [])]
        bytes_per_pixel = max(bytes_per_pixel, 4 + 2 * sum(samples) / max(samples, default=1))
    max_pixels = int(limits.max_pixels * _DECODER_BYTES / bytes_per_pixel)
    if pixels > max_pixels:
        name = image.format or ""
        kind = _FORMAT_NAMES.get(name, name) if name in _BYTES_BY_FORMAT else "progressive JPEG"
        raise ImageError(
            f"A {kind} with more than {max_pixels / MEGA:.3g} megapixels needs too much memory. "
            "Save it as a PNG or a baseline JPEG."
        )


def _upright_rgb(image: Image.Image, orientation: int) -> tuple[NDArray[np.uint8], str]:
    """The pixels and a note, or none.

    Converts strip by strip, as copies of a large photo take hundreds of megabytes.
    """
    width, height = image.size
    pixels = np.empty((width, height, 3) if orientation > 4 else (height, width, 3), np.uint8)
    stored = _as_stored(pixels, orientation)
    rows = max(1, _STRIP_PIXELS // width)
    strips = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]

    def cut(strip: slice) -> Image.Image:
        return image.crop((0, strip.start, width, strip.stop))

    shown = None
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        values = (np.asarray(cut(strip)) for strip in strips)
        shown = ValueRange.of(values, width * height, is_float=image.mode == "F")
    to_srgb = _srgb_transform(image)
    for strip in strips:
        stored[strip] = (
            shown.to_grey(np.asarray(cut(strip)))[..., None]
            if shown
            else _to_rgb(cut(strip), to_srgb)
        )
    return pixels, shown.note if shown else ""


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


def _to_rgb(image: Image.Image, to_srgb: ImageCms.ImageCmsTransform | None) -> NDArray[np.uint8]:
    """(H, W, 3) pixels, over white."""
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
