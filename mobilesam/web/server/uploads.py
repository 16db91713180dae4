"""What a visitor may name as a photo: a file that was uploaded, and nothing else on the server."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import gradio as gr
from gradio.components import Component
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

from mobilesam.errors import ImageError

UploadStamp: TypeAlias = tuple[int, int]


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


class UploadsOnly(Component):
    """A component whose value may name uploads, but no addresses.

    Wherever a client's JSON looks like a file, Gradio fetches the address in it, of any size into
    memory, before a handler sees the value.
    """

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        """The path of an upload; an address is refused."""
        if is_http_url_like(url_or_file_path or ""):
            raise gr.Error("No address can stand here; upload the file.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


def upload_stamp(path: Path) -> UploadStamp:
    """What tells an upload from a later one at the same path: Gradio names uploads by content."""
    status = path.stat()
    return status.st_ino, status.st_ctime_ns


def remove_upload(path: Path, stamp: UploadStamp) -> None:
    """Removes an upload, unless somebody has uploaded the same photo since."""
    with suppress(OSError):
        if upload_stamp(path) == stamp:
            path.unlink()
