"""The annotation files that a user sends: one file, or a ZIP of many that is never unpacked."""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from mobilesam.errors import AnnotationError
from mobilesam.export.documents import (
    MAX_DOCUMENT_BYTES,
    given_text,
    without_image_data,
)
from mobilesam.settings import MEGA

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 200 * MEGA  # of all annotation files, with the photos in those of labelme

_DIRECTORY_ENTRY = b"PK\x01\x02"
_SUFFIXES = {".json", ".txt", ".yaml", ".yml", ".names"}
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def annotation_files(
    data: bytes, file_name: str, skipped: Counter[str]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The name and the content of each file, without the photos that labelme embeds.

    Photos, archives and hidden files in a ZIP are ignored; what cannot be read is counted in
    `skipped`.

    Raises:
        AnnotationError: the ZIP is damaged or has too many files, or the files are too large.
    """
    if not data.startswith(b"PK"):
        if len(data) > MAX_UNPACKED_BYTES:
            raise _too_large(MAX_UNPACKED_BYTES)
        yield PurePosixPath(given_text(file_name)), _without_photos(data, MAX_DOCUMENT_BYTES)
        return
    left_packed, left = MAX_UNPACKED_BYTES, MAX_DOCUMENT_BYTES
    # Counted before, because zipfile makes an object of each.
    if data.count(_DIRECTORY_ENTRY) > MAX_MEMBERS:
        raise AnnotationError(f"The ZIP has more than {MAX_MEMBERS} files. Split it.")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, OSError):
        raise AnnotationError("The ZIP is damaged. Make it again.") from None
    for info in archive.infolist():
        path = PurePosixPath(given_text(info.filename).replace("\\", "/"))
        is_hidden = path.name.startswith(".")
        if info.is_dir() or is_hidden or path.suffix.lower() not in _SUFFIXES:
            continue
        if info.flag_bits & 1:
            skipped["encrypted files"] += 1
            continue
        content = _member(archive, info, left_packed)
        if content is None:
            skipped["damaged files"] += 1
            continue
        left_packed -= len(content)
        if left_packed < 0:
            raise _too_large(MAX_UNPACKED_BYTES)
        content = _without_photos(content, left)
        left -= len(content)
        yield path, content


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes | None:
    """Up to `most` bytes of a file and one more, whatever its header says; None if damaged."""
    if info.compress_type not in _COMPRESSIONS:
        return None
    try:
        with archive.open(info) as file:
            return file.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        return None


def _without_photos(content: bytes, most: int) -> bytes:
    content = without_image_data(content)
    if len(content) > most:
        raise _too_large(MAX_DOCUMENT_BYTES)
    return content


def _too_large(limit: int) -> AnnotationError:
    return AnnotationError(
        f"The annotations have more than {limit / MEGA:g} MB. Split them into several files."
    )
