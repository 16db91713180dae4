"""The file of a photo as bytes: what is wrong with it before, and while, Pillow reads it.

Pillow bounds the pixels of a photo but not what leads to them: a file of a few megabytes can hold
millions of tiny pieces, or name the same piece thousands of times.
"""

from __future__ import annotations

import io
import re
import struct
import time
from pathlib import Path

from PIL import Image

from mobilesam.errors import ImageError
from mobilesam.settings import MEGA

MAX_JPEG_SCANS = 100
"""A progressive JPEG has about ten; thousands, each decoded over the whole photo, are an attack."""

MAX_READS = 200_000
"""A GIF of 20 MB has 80,000 pieces, each read twice; other formats have far fewer."""

MAX_TIMES_READ = 4
"""How often the bytes of a file may be read, taken together; a decoder needs one or two times."""

MAX_HEADER_S = 0.5
"""Of the processor, for what comes before the pixels; it takes milliseconds."""

_SMALL_FILE_BYTES = 65_536
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", b"\xff\xda"
_EXIF_START = b"Exif\0\0"
_JPEG_DIRECTORY = re.compile(rb"Exif\0\0|MPF\0(?=II|MM)")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1


class MeteredFile(io.BytesIO):
    """A file in memory that refuses to be read in circles."""

    def __init__(self, data: bytes) -> None:
        """Begins with the header."""
        super().__init__(data)
        self._reads_left = MAX_READS
        self._bytes_left = MAX_TIMES_READ * max(len(data), _SMALL_FILE_BYTES)
        self._header_ends_at: float | None = time.thread_time() + MAX_HEADER_S

    def begin_pixels(self) -> None:
        """From here on time is no measure: a large photo takes it rightly."""
        self._header_ends_at = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads as any file does.

        Raises:
            ImageError: it has been read too often, too much or for too long.
        """
        data = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        late = self._header_ends_at is not None and time.thread_time() > self._header_ends_at
        if late or self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError("The photo is put together in far too many pieces; save it again.")
        return data


def read_photo_file(path: Path, max_bytes: int) -> bytes:
    """What is in the file.

    Args:
        path: of a file.
        max_bytes: size of the file.

    Raises:
        ImageError: it cannot be opened, is empty or too large, or is a JPEG of too many scans.
    """
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise ImageError("The photo cannot be opened: it is not a file.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ImageError(f"The photo cannot be opened: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL in the name
        raise ImageError(f"The photo cannot be opened: {error}.") from error
    if not data:
        raise ImageError("The file is empty.")
    if data.startswith(_JPEG_START) and data.count(_JPEG_SCAN) > MAX_JPEG_SCANS:
        raise ImageError("The photo is coded in far too many passes; save it again and retry.")
    if data.startswith(_JPEG_START):
        # Pillow would copy every value of these on opening; `exif_orientation` reads its own.
        data = _JPEG_DIRECTORY.sub(lambda found: found[0].lower(), data)
    if len(data) > max_bytes:
        raise ImageError(f"The file is larger than {max_bytes / MEGA:g} MB; use a smaller photo.")
    return data


def exif_orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, that an opened photo's EXIF says; 1 where it says none.

    Not Pillow's: it makes a copy of every value that the EXIF names, and thousands of names can
    stand for the same bytes. It also follows XMP, which browsers do not.

    Args:
        image: from a file, or a copy of such a one.
    """
    if image.format == "TIFF":  # Pillow has turned it
        return _UPRIGHT
    segments = getattr(image, "applist", [])  # of a JPEG
    blocks = [data for _, data in segments if data.lower().startswith(_EXIF_START.lower())]
    exif = blocks[0] if blocks else image.info.get("exif")
    if not isinstance(exif, bytes):
        return _UPRIGHT
    block = exif[len(_EXIF_START) :] if blocks else exif.removeprefix(_EXIF_START)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return _UPRIGHT
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else _UPRIGHT
    except struct.error:  # the block ends before that
        pass
    return _UPRIGHT
