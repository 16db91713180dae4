"""Gradio's Blocks around the page component and the HTTP endpoints."""

import logging
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

import mobilesam
from mobilesam.bundled import bundled_folder
from mobilesam.interactions import MAX_INTERACTIONS, MAX_PATH_POINTS
from mobilesam.objects import MAX_NAME, MAX_OBJECTS
from mobilesam.paint import MAX_RADIUS_PX
from mobilesam.prompts import MAX_POINTS
from mobilesam.settings import FRAME_ANCESTORS, MEGA, ImageLimits
from mobilesam.web.api.endpoints import add_endpoints
from mobilesam.web.page.component import head_elements, prompt_canvas
from mobilesam.web.page.handlers import DISPLAY_SIDE, THUMBNAIL_SIDE, PageHandlers, jpeg_url
from mobilesam.web.server.middleware import SecurityMiddleware
from mobilesam.web.server.page_head import PageHead
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.replies import NOT_UNDERSTOOD
from mobilesam.web.server.request_log import log_failure
from mobilesam.web.server.static_files import static_route

TITLE = "MobileSAM: click an object in a photo to get its mask"
EXAMPLES_DIR = bundled_folder("examples")
# Gradio's default font lacks most glyphs in its heavier weights.
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
_MAX_JSON_BYTES = 32 * MEGA  # all objects of a photo with their interactions, or a file of masks
_FINISH_TIMEOUT_S = 4  # for requests being handled; Gradio waits one second longer for its server


class DemoBlocks(gr.Blocks):
    """Blocks that keep nothing of an event, and whose failed events reply with a sentence.

    Gradio would keep the arguments and the results of the last event of each session, up to
    `state_session_capacity` sessions, and it creates a session for every API call. It would also
    print the error of an event to standard error, including what the client sent.
    """

    async def process_api(
        self, block_fn: Any, inputs: list[Any] | None, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Handles one event without its session; arguments that are missing at the end are null."""
        given = list(inputs or [])
        missing = [None] * (len(block_fn.inputs) - len(given))
        try:
            return await super().process_api(
                block_fn, given + missing, *args, **{**kwargs, "state": None}
            )
        except Exception as error:
            if isinstance(error, gr.Error) and not error.print_exception:
                sentence = str(error.message)
            else:
                log_failure("Event", error)
                sentence = NOT_UNDERSTOOD
            _clear_frames(error)
        raise gr.Error(sentence, print_exception=False)


def _clear_frames(error: BaseException | None) -> None:
    """Forgets the variables of the frames in which an error and its causes were raised.

    They hold what the client sent, and would until the next full garbage collection.
    """
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def build_demo(
    handlers: PageHandlers,
    model: Future["mobilesam.Segmenter"],
    limits: ImageLimits,
    queues: WorkQueues,
    examples: Path = EXAMPLES_DIR,
) -> gr.Blocks:
    """The demo, to be launched with `launch_options`; `examples` is a folder of photos to offer."""
    gr.set_static_paths([examples])

    demo = DemoBlocks(title=TITLE, analytics_enabled=False)
    with demo:
        prompt_canvas(
            handlers.server_functions(),
            elem_id="prompt-canvas",
            limits={
                "max_mb": limits.max_bytes / MEGA,
                "max_megapixels": limits.max_pixels / MEGA,
                "max_points": MAX_POINTS,
                "max_interactions": MAX_INTERACTIONS,
                "max_path_points": MAX_PATH_POINTS,
                "max_radius_px": MAX_RADIUS_PX,
                "max_objects": MAX_OBJECTS,
                "max_name": MAX_NAME,
                "display_side": DISPLAY_SIDE,
                "thumbnail_side": THUMBNAIL_SIDE,
            },
            examples=[_example(path) for path in sorted(examples.glob("*.[jp][pn]g"))],
        )
        add_endpoints(model, limits, queues)
        demo.unload(handlers.unload)
    return demo


def launch_options(
    limits: ImageLimits, routes: Sequence[BaseRoute], frame_ancestors: str = FRAME_ANCESTORS
) -> dict[str, Any]:
    """Arguments for `demo.launch`: style, limits, middleware, more routes, and no telemetry."""
    head = f'<meta name="description" content="{TITLE}">{head_elements()}'
    max_body_bytes = max(_MAX_JSON_BYTES, limits.max_bytes + MEGA)
    return {
        "theme": gr.themes.Default(font=_FONTS),
        "favicon_path": Path(__file__).parent / "favicon.png",
        "max_file_size": limits.max_bytes,
        "max_threads": 200,  # more than the endpoints' queues hold, so that none waits in Gradio's
        "run_history": False,
        "state_session_capacity": 1000,  # whose state Gradio keeps; the page keeps none there
        "enable_monitoring": False,
        "ssr_mode": False,
        "footer_links": ["api"],
        "app_kwargs": {
            "middleware": [
                Middleware(SecurityMiddleware, max_body_bytes, frame_ancestors),
                Middleware(PageHead, head),
            ],
            "routes": [static_route(), *routes],
        },
    }


def close(demo: gr.Blocks) -> None:
    """Stops accepting requests, and gives those that are being handled some time to finish.

    `Blocks.close` would drop the results of API calls at once.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # tracebacks of dropped requests
    demo.server.config.timeout_graceful_shutdown = _FINISH_TIMEOUT_S
    demo.app.stop_event.set()  # ends the streams of open pages
    demo.server.close()  # type: ignore[no-untyped-call]


def _example(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.thumbnail((256, 192))
        thumbnail = jpeg_url(image.convert("RGB"))
    return {"name": path.stem.replace("-", " "), "path": str(path), "thumbnail": thumbnail}
