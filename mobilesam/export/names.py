"""Names of photos in annotation files, and names of exported files."""

import os
import re
import unicodedata

MAX_FILE_NAME_BYTES = 255  # of UTF-8, on nearly all file systems

_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # on Windows
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\.|\Z)", re.I)
"""Names that Windows reserves for devices, also with an extension."""
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of characters that reorder what follows, and could hide an extension."""
_DRIVE = re.compile(r"\A([A-Za-z]):")


def photo_file_name(path: str) -> str:
    """The photo's own file name with its extension, as annotation files refer to it.

    Only what cannot be in such a file is replaced: folders are removed, a colon behind a drive's
    letter, control characters and what is not text become "_". A reader that joins the name to a
    folder stays in that folder. `"photo.jpg"` if nothing is left.
    """
    name = _DRIVE.sub(r"\1_", "".join(map(_plain, _SEPARATORS.split(path)[-1])))
    if not name.strip("._ "):
        return "photo.jpg"
    stem, extension = os.path.splitext(name)
    return _shortened(stem, extension)


def export_file_name(photo_name: str, suffix: str) -> str:
    """The name of a file that belongs to a photo: its stem and, for example, `".json"`."""
    return safe_file_name(os.path.splitext(photo_file_name(photo_name))[0], suffix)


def safe_file_name(stem: str, suffix: str) -> str:
    """A file name that every file system accepts, at most MAX_FILE_NAME_BYTES long.

    Characters that Windows forbids become "_", also in the suffix, and so does a leading dot, which
    would hide the file; dots and spaces at the end are removed; a device's name gets a "_" in
    front. A long stem is cut, and the suffix stays.
    """
    safe, suffix = (_FORBIDDEN.sub("_", "".join(map(_plain, part))) for part in (stem, suffix))
    safe = safe or "photo"
    if safe.startswith("."):
        safe = f"_{safe[1:]}"
    if _DEVICES.match(safe + suffix):
        safe = f"_{safe}"
    return _shortened(safe, suffix).rstrip(". ")


def _plain(character: str) -> str:
    is_text = unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
    return character if is_text and unicodedata.bidirectional(character) not in _DIRECTIONS else "_"


def _shortened(stem: str, suffix: str) -> str:
    """Cuts the stem between two characters, or a suffix that is too long by itself."""
    end = suffix.encode()[:MAX_FILE_NAME_BYTES].decode(errors="ignore")
    start = stem.encode()[: MAX_FILE_NAME_BYTES - len(end.encode())].decode(errors="ignore")
    return start + end
