"""Where visitors' files are: what they may name as a photo, and what is made for them."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from gradio.utils import get_upload_folder

from mobilesam.errors import ImageError

UploadStamp: TypeAlias = tuple[int, int]

_MADE_FILES = secrets.token_hex(24)


def checked_upload(path: str) -> Path:
    """The path of an upload.

    Gradio checks most paths that clients send, but not those in a form that it does not know as a
    file; so the last word is here.

    Raises:
        ImageError: the path is not that of a file in Gradio's upload folder.
    """
    try:
        resolved = Path(path).resolve()
        inside = resolved.is_relative_to(Path(get_upload_folder()).resolve())
        if inside and resolved.is_file():
            return resolved
    except (OSError, ValueError):
        pass
    raise ImageError("The photo has not been uploaded; upload it and try again.")


def upload_stamp(path: Path) -> UploadStamp:
    """What tells an upload from a later one at the same path: Gradio names uploads by content."""
    status = path.stat()
    return status.st_ino, status.st_ctime_ns


def remove_upload(path: Path, stamp: UploadStamp) -> None:
    """Removes an upload, unless somebody has uploaded the same photo since."""
    with suppress(OSError):
        if upload_stamp(path) == stamp:
            path.unlink()


def made_files_folder() -> Path:
    """Where this process makes files for visitors; they go when the visitor or the process does."""
    return Path(get_upload_folder()) / _MADE_FILES
