"""File names that are safe on every system, made from names that users and clients choose."""

from __future__ import annotations

import re
import unicodedata

_MAX_STEM = 40
_MAX_PHOTO_NAME = 100
_FORBIDDEN = '<>:"|?*'


def safe_file_stem(name: str, fallback: str = "photo") -> str:
    """Letters and digits of a name; every run of other characters becomes one dash.

    Args:
        name: any text, such as an object's name or a photo's file name without its extension.
        fallback: the result if nothing of the name is left.
    """
    plain = unicodedata.normalize("NFC", name)
    return re.sub(r"[\W_]+", "-", plain)[:_MAX_STEM].strip("-") or fallback


def photo_file_name(path: str) -> str:
    """The photo's file name with its extension, as annotation files refer to it.

    Directories and characters that Windows forbids are removed, so that a reader which joins the
    name to a folder stays in that folder.

    Args:
        path: a path or a name from anywhere.

    Returns:
        At most 100 characters; `"photo.jpg"` if nothing of the name is left.
    """
    last = re.split(r"[/\\]", path)[-1]
    plain = "".join(c for c in last if c.isprintable() and c not in _FORBIDDEN).strip()
    return plain[-_MAX_PHOTO_NAME:] if plain.strip(".") else "photo.jpg"
