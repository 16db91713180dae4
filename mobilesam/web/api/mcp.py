"""The HTTP endpoints as tools of Gradio's MCP server.

Adds what Gradio's server lacks: replies as JSON, and uploaded photos as arguments.
"""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr

from mobilesam.errors import ImageError, MobileSamError
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.server.storage import checked_upload, new_file, upload_folder


def prepare_mcp_server(demo: gr.Blocks, limits: ImageLimits) -> None:
    """Adapts the MCP server of a demo that was launched with mcp_server=True.

    Raises:
        MobileSamError: Gradio could not start the server.
    """
    server = demo.mcp_server_obj
    if server is None:
        raise MobileSamError(
            "The MCP server could not start. Reinstall it with "
            "`pip install -r requirements-mcp.txt`, or start without MCP."
        )
    postprocess_in_gradio = server.postprocess_output_data

    def postprocess(data: Any, root_url: str) -> Any:
        # Gradio would reply `str(dict)`, which is not JSON.
        outputs = [
            json.dumps(output) if isinstance(output, dict) and "path" not in output else output
            for output in data
        ]
        return postprocess_in_gradio(outputs, root_url)

    def convert(value: Any, filedata_positions: list[list[str | int]]) -> Any:
        photos = {str(path[-1]) for path in filedata_positions}  # each is an argument by itself
        return {
            name: _file_data(argument, limits) if name in photos else argument
            for name, argument in value.items()
        }

    server.postprocess_output_data = postprocess  # type: ignore[method-assign]
    server.convert_strings_to_filedata = convert  # type: ignore[method-assign]


def _file_data(url: Any, limits: ImageLimits) -> dict[str, Any]:
    """The photo, given by a public URL, a data URL or the URL of an upload, as Gradio sends it."""
    if not isinstance(url, str) or not url.startswith(("data:", "http://", "https://")):
        raise ImageError("A photo must be an http or https URL, or a data URL.")
    if url.startswith("data:"):
        path = str(_stored(url, limits))
    else:
        # What Gradio's upload tool returns. The server never fetches from itself.
        uploaded = unquote(urlsplit(url).path).partition("/gradio_api/file=")[2]
        path = str(checked_upload(uploaded)) if uploaded else url
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _stored(data_url: str, limits: ImageLimits) -> Path:
    header, _, body = data_url.partition(",")
    if len(body) > 4 * (limits.max_bytes // 3 + 1):
        raise ImageError(f"The file is larger than {limits.max_bytes / MEGA:g} MB.")
    try:
        data = base64.b64decode(body if header.endswith(";base64") else "?", validate=True)
    except ValueError:
        raise ImageError("The data URL is not valid base64. Send a URL instead.") from None
    return new_file(upload_folder(), "photo", data)
