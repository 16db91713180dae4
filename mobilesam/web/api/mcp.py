"""The public endpoints as tools of an MCP server, so that an assistant can ask for masks.

The server is Gradio's; here is what it lacks: answers as JSON, and photos that were uploaded.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.utils import get_upload_folder

from mobilesam.errors import ImageError, MobileSamError
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.server.uploads import checked_upload

if TYPE_CHECKING:
    from gradio.mcp import GradioMCPServer

_UPLOADED = "/gradio_api/file="


def check_mcp_installed() -> None:
    """Checks that there can be an MCP server.

    Raises:
        MobileSamError: its package is missing.
    """
    if importlib.util.find_spec("mcp") is None:
        raise MobileSamError(
            "MCP needs a package more: pip install -r requirements-mcp.txt, or start without it."
        )


def prepare_mcp_server(demo: gr.Blocks, limits: ImageLimits) -> None:
    """Completes the MCP server of a demo that has just been launched with one.

    Args:
        demo: launched with mcp_server=True.
        limits: what a photo may be at most.

    Raises:
        MobileSamError: Gradio could not start it.
    """
    server = demo.mcp_server_obj
    if server is None:
        raise MobileSamError(
            "The MCP server could not start; install it afresh: "
            "pip install -r requirements-mcp.txt, or start without it."
        )
    for name in ("mcp", "mcp.server"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a line for every request
    _answer_in_json(server)
    _take_uploads(server, limits)


def _answer_in_json(server: GradioMCPServer) -> None:
    """Gradio writes a dict as Python would, which no JSON reader takes."""
    as_gradio = server.postprocess_output_data

    def postprocess(data: Any, root_url: str) -> Any:
        return as_gradio([_json_or_file(output) for output in data], root_url)

    server.postprocess_output_data = postprocess  # type: ignore[method-assign]


def _json_or_file(output: Any) -> Any:
    is_answer = isinstance(output, dict) and "path" not in output
    return json.dumps(output) if is_answer else output


def _take_uploads(server: GradioMCPServer, limits: ImageLimits) -> None:
    """Takes photos as data and as addresses of this server's own uploads, beside public ones."""

    def convert(value: Any, filedata_positions: list[list[str | int]]) -> Any:
        photos = {str(path[-1]) for path in filedata_positions}  # each an argument by itself
        return {
            name: _photo(sent, limits) if name in photos else sent for name, sent in value.items()
        }

    server.convert_strings_to_filedata = convert  # type: ignore[method-assign]


def _photo(sent: Any, limits: ImageLimits) -> Any:
    """A photo as Gradio's own client names it."""
    if not isinstance(sent, str):
        raise ImageError("A photo is given as its http or https address.")
    if sent.startswith("data:"):
        path = str(_stored(sent, limits))
    elif sent.startswith(("http://", "https://")):
        uploaded = unquote(urlsplit(sent).path).partition(_UPLOADED)[2]
        # Gradio's upload tool answers with such an address; no fetch leads back to this server.
        path = str(checked_upload(uploaded)) if uploaded else sent
    else:
        raise ImageError("A photo is given as its http or https address.")
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def _stored(data_url: str, limits: ImageLimits) -> Path:
    header, _, body = data_url.partition(",")
    if len(body) > 4 * (limits.max_bytes // 3 + 1):
        raise ImageError(f"The file is larger than {limits.max_bytes / MEGA:g} MB.")
    try:
        data = base64.b64decode(body if header.endswith(";base64") else "?", validate=True)
    except ValueError:
        raise ImageError("The photo's data are not base64; give its address instead.") from None
    path = Path(get_upload_folder()) / secrets.token_hex(24) / "photo"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return path
