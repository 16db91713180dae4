"""The page: Gradio's Blocks around the prompt canvas, and the HTTP endpoints."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from mobilesam.interactions import MAX_INTERACTIONS, MAX_PATH_POINTS
from mobilesam.prompts import MAX_POINTS
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.api.endpoints import add_everything_endpoint, add_segment_endpoint
from mobilesam.web.api.export_endpoint import add_export_endpoint
from mobilesam.web.page.component import PromptCanvas, Upload
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.page.object_payload import MAX_KEPT
from mobilesam.web.server.middleware import SecurityMiddleware
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.replies import Reply

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.segmenter import Segmenter

TITLE = "MobileSAM: click on a thing in a photo, get its mask"
EXAMPLES_DIR = Path(__file__).resolve().parents[2] / "examples"
_FAVICON = Path(__file__).parent / "favicon.png"
# Gradio's own font lacks most glyphs in its heavier weights.
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
_THUMBNAIL_HW = (96, 128)
_MAX_QUERY_BYTES = 32 * MEGA
"""Of JSON: the objects of a photo with all their steps, or a file of masks."""
_MAX_EVENTS = 200
"""That Gradio has under way at once: more than queues hold, so that none waits in its queue."""
_SESSIONS = 1000
"""Of which Gradio keeps a copy of the page each; nothing is lost with the oldest ones."""
_PHOTO_SUFFIXES = {".jpg", ".png"}


def build_demo(
    handlers: PageHandlers,
    model: Future[Segmenter],
    limits: ImageLimits,
    examples: Path = EXAMPLES_DIR,
) -> gr.Blocks:
    """The demo, ready to launch with `launch_options`.

    Args:
        handlers: answers the page.
        model: the segmenter that answers programs, or the promise of one: the page can be served,
            and a photo be chosen, while it is being loaded.
        limits: what a photo may be at most, as the page tells its visitors.
        examples: a folder of photos to offer.
    """
    gr.set_static_paths([examples])

    queues = WorkQueues()
    open_in_turn = queues.photos.serving(handlers.open)

    async def line(query: Any) -> Reply:
        return queues.photos.line(query)

    async def open_photo(upload: Upload | None, request: gr.Request) -> gr.HTML:
        if upload is None or upload.photo is None:
            return gr.HTML(opened=None)
        query = {
            "seq": upload.ticket,
            "path": upload.photo.path,
            "name": upload.photo.orig_name or upload.photo.path,
            "visitor": request.session_hash,
        }
        queues.photos.keep_promise()
        reply = queues.photos.refusal(query) if queues.photos.is_full else handlers.admit(query)
        if reply["ok"]:
            reply = await open_in_turn({"seq": upload.ticket, "token": reply["token"]})
        return gr.HTML(opened=reply)

    def leave(request: gr.Request) -> None:
        handlers.leave(request.session_hash or "")

    demo = gr.Blocks(title=TITLE, analytics_enabled=False)
    with demo:
        canvas = PromptCanvas(
            [
                line,
                queues.clicks.serving(handlers.segment),
                *map(queues.full_size.serving, (handlers.export, handlers.load, handlers.preview)),
                *map(
                    queues.others.serving, (handlers.about, handlers.everything, handlers.regions)
                ),
            ],
            elem_id="prompt-canvas",
            opened=None,
            limits={
                "max_mb": limits.max_bytes / MEGA,
                "max_megapixels": limits.max_pixels / MEGA,
                "max_points": MAX_POINTS,
                "max_steps": MAX_INTERACTIONS,
                "max_path": MAX_PATH_POINTS,
                "max_objects": MAX_KEPT,
            },
            examples=[
                _example(path)
                for path in sorted(examples.iterdir())
                if path.suffix in _PHOTO_SUFFIXES
            ],
        )
        canvas.photo(
            open_photo,
            canvas,
            canvas,
            show_progress="hidden",
            trigger_mode="multiple",  # a second photo waits its turn instead of being dropped
            concurrency_limit=None,  # they wait in their queue
            api_visibility="private",
        )
        add_segment_endpoint(model, limits, queues)
        add_everything_endpoint(model, limits, queues)
        add_export_endpoint(limits, queues)
        demo.unload(leave)
    return demo


def launch_options(limits: ImageLimits, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Arguments for `demo.launch`: style, limits, a guard, and no telemetry.

    Args:
        limits: what a photo may be at most.
        routes: answered beside Gradio's.
    """
    return {
        "css": PromptCanvas.css(),
        "theme": gr.themes.Default(font=_FONTS),
        "favicon_path": _FAVICON,
        "head": f'<meta name="description" content="{TITLE}">',
        "max_file_size": limits.max_bytes,
        "max_threads": _MAX_EVENTS,
        "run_history": False,
        "state_session_capacity": _SESSIONS,
        "enable_monitoring": False,
        "ssr_mode": False,
        "footer_links": ["api"],
        "app_kwargs": {
            "middleware": [
                Middleware(SecurityMiddleware, max(_MAX_QUERY_BYTES, limits.max_bytes + MEGA))
            ],
            "routes": list(routes),
        },
    }


def _example(path: Path) -> dict[str, str]:
    """Name, address and a small picture of an example photo, for the page."""
    with Image.open(path) as image:
        height, width = _THUMBNAIL_HW
        image.thumbnail((2 * width, 2 * height))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {
        "name": path.stem.replace("-", " "),
        "path": str(path),
        "thumbnail": f"data:image/jpeg;base64,{data}",
    }
