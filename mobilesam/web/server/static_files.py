"""Serves the page's scripts, styles and pictures under a path that names version and content."""

import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import mobilesam

STATIC_DIR = Path(__file__).parents[1] / "static"
# The MIME types that Python knows depend on the machine; browsers refuse modules of another type.
_MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".webp": "image/webp",
    ".wasm": "application/wasm",
}
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}


def static_route(folder: Path = STATIC_DIR) -> Route:
    """The route of all files; other paths under it are not found.

    Gradio's own middleware compresses the files.
    """
    files = _read_files(folder)

    async def static_file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            return PlainTextResponse("Not found", status_code=404)
        return Response(files[name], headers=_HEADERS, media_type=_MEDIA_TYPES[Path(name).suffix])

    return Route(f"/{static_base(folder)}/{{name:path}}", static_file)


@functools.cache
def static_base(folder: Path = STATIC_DIR) -> str:
    """The first part of the files' paths: it changes with the version and with any content."""
    digest = hashlib.sha256()
    for name, content in _read_files(folder).items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return f"mobilesam-{mobilesam.__version__}-{digest.hexdigest()[:16]}"


@functools.cache
def _read_files(folder: Path) -> dict[str, bytes]:
    """The files by path, read once: each address always has the content of its digest."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES and not path.name.startswith(".")
    }
