"""What a visitor may name as a photo: a file that was uploaded, and nothing else on the server."""

from __future__ import annotations

from pathlib import Path

from gradio.utils import get_upload_folder

from mobilesam.errors import ImageError


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
