"""Reads image files with limits on the work that their structure causes.

Pillow limits the number of pixels, but a few megabytes can contain millions of chunks, or refer to
the same chunk thousands of times.
"""

import io
import math
import re
import struct
import time
import zlib
from pathlib import Path

from PIL import Image, PngImagePlugin

from mobilesam.errors import ImageError
from mobilesam.settings import MEGA

MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten; every scan is decoded over the whole photo."""

MAX_READS = 200_000
"""A GIF of 20 MB has 80,000 blocks, each read twice; other formats have far fewer."""

MAX_TIMES_READ = 4
"""Total bytes read, in multiples of the file's size; a decoder reads a file once or twice."""

MAX_HEADER_S = 0.5
"""CPU time for everything before the pixels, which takes milliseconds."""

OUTSIDE_FOLDER = "The photo is outside the folder; only files inside it are read."

_SMALL_FILE_BYTES = 65_536
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_MAX_PNG_PROFILE_BYTES = PngImagePlugin.MAX_TEXT_CHUNK
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", b"\xff\xda"
_EXIF_START = re.compile(rb"exif\0\0", re.IGNORECASE)
_JPEG_DIRECTORY = re.compile(rb"Exif\0\0|MPF\0(?=II|MM)")
_ORIENTATION_TAG = 0x0112


class BoundedFile(io.BytesIO):
    """A file in memory that limits the number, size and time of its reads."""

    def __init__(self, data: bytes) -> None:
        """The time limit of the header starts now."""
        super().__init__(data)
        self._reads_left = MAX_READS
        self._bytes_left = MAX_TIMES_READ * max(len(data), _SMALL_FILE_BYTES)
        self._header_ends_at = time.thread_time() + MAX_HEADER_S

    def begin_pixels(self) -> None:
        """Ends the time limit, as decoding a large photo takes longer."""
        self._header_ends_at = math.inf

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads up to `size` bytes; ImageError if a limit is exceeded."""
        data = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        is_late = time.thread_time() > self._header_ends_at
        if is_late or self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError("The file has far too many parts. Save it again in an image editor.")
        return data


def read_photo_file(path: Path, max_bytes: int) -> bytes:
    """Reads an image file into memory.

    Raises:
        ImageError: the file cannot be opened, is empty or larger than `max_bytes`, or is a JPEG
            with too many scans.
    """
    try:
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise ImageError("The photo cannot be opened: it is not a file.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"The photo cannot be opened: {reason}.") from error
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > max_bytes:
        raise ImageError(f"The file is larger than {max_bytes / MEGA:g} MB. Use a smaller photo.")
    if data.startswith(_PNG_START):
        return _without_png_metadata(data)
    if not data.startswith(_JPEG_START):
        return data
    if data.count(_JPEG_SCAN) > MAX_JPEG_SCANS:
        raise ImageError("The JPEG has far too many scans. Save it again in an image editor.")
    # Hides EXIF and MPF from Pillow, which copies all their values on opening; see below.
    return _JPEG_DIRECTORY.sub(lambda found: found[0].lower(), data)


def _without_png_metadata(data: bytes) -> bytes:
    """A PNG without its texts, and without a colour profile that is too large for Pillow.

    Pillow refuses a PNG with more than 1 MB of either, and nothing here reads texts.
    """
    kept, at = [data[:8]], 8
    for _ in range(MAX_READS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + size + 12
        chunk = data[at:end]
        if kind not in _PNG_TEXTS and not (kind == b"iCCP" and _is_huge_profile(chunk[8:-4])):
            kept.append(chunk)
        at = end
        if at >= len(data):
            break
    return b"".join([*kept, data[at:]])


def _is_huge_profile(content: bytes) -> bool:
    """Whether a chunk "iCCP", a name, a zero, a method and the compressed data, is too large."""
    compressed = content.partition(b"\0")[2][1:]
    try:
        profile = zlib.decompressobj().decompress(compressed, _MAX_PNG_PROFILE_BYTES + 1)
    except zlib.error:
        return False  # Pillow ignores it
    return len(profile) > _MAX_PNG_PROFILE_BYTES


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8; 1 if there is none.

    Pillow's own function copies every value of the EXIF, and thousands of tags can refer to the
    same bytes. It also reads XMP, which browsers do not.
    """
    segments = [data for _, data in getattr(image, "applist", [])]  # APP segments of a JPEG
    exif = next(filter(_EXIF_START.match, segments), image.info.get("exif"))
    if image.format == "TIFF" or not isinstance(exif, bytes):  # Pillow rotates a TIFF itself
        return 1
    block = exif[6:] if _EXIF_START.match(exif) else exif
    try:
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):  # the block is damaged
        pass
    return 1


def photo_path(folder: Path, file: str) -> Path:
    """Resolves the name of a photo in a file that is not trusted, including symbolic links.

    Args:
        folder: which the photo must be inside; already resolved.
        file: relative to the folder.

    Raises:
        ImageError: the path is outside the folder, or cannot be resolved.
    """
    try:
        path = (folder / file).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise ImageError(f"The photo cannot be opened: {error}.") from error
    if not path.is_relative_to(folder):
        raise ImageError(OUTSIDE_FOLDER)
    return path
