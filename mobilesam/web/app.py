"""Starts the page, for `app.py` and for the terminal's `serve`.

The page comes first, the model after it: importing torch and the model's libraries takes longer
than everything else, and no photo has been chosen yet.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator, usable_cores
from mobilesam.settings import Settings
from mobilesam.web.server.request_log import configure_logging
from mobilesam.web.server.shutdown import stopped_by_signals
from mobilesam.web.server.storage import visitor_files

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter


def serve_page(
    weights: str | None = None,
    device: str | None = None,
    host: str | None = None,
    port: int | None = None,
    mcp: bool = False,
) -> None:
    """Serves the page, loads the model, and returns when the page is stopped.

    Args:
        weights: as `Segmenter.from_weights` takes them.
        device: as `Segmenter.from_weights` takes it.
        host: where to listen; None for GRADIO_SERVER_NAME, else 127.0.0.1.
        port: None for GRADIO_SERVER_PORT, else the first free one from 7860 on.
        mcp: be an MCP server too, as with MOBILESAM_MCP=1.

    Raises:
        MobileSamError: a setting is malformed, the model cannot be loaded, or there is no
            listening there.
    """
    configure_logging()
    tune_allocator()
    settings = Settings.from_env()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    with visitor_files() as files, stopped_by_signals(files) as serving:
        from mobilesam.web.api.mcp import check_mcp_installed, prepare_mcp_server
        from mobilesam.web.blocks import build_demo, launch_options
        from mobilesam.web.health import health_route
        from mobilesam.web.page.handlers import PageHandlers

        mcp = mcp or settings.mcp
        if mcp:
            check_mcp_installed()
        model: Future[Segmenter] = Future()
        handlers = PageHandlers(model, files)
        demo = build_demo(handlers, model, settings.limits)
        try:
            demo.launch(
                server_name=host,
                server_port=port,
                mcp_server=mcp,
                prevent_thread_lock=True,
                quiet=True,  # Gradio would speak of public links; the next line says what is needed
                **launch_options(settings.limits, [health_route(model, handlers)]),
            )
        except OSError as error:
            raise MobileSamError(
                "The page cannot listen there: the port is taken, or the host is not this "
                "machine's; name others."
            ) from error
        serving(demo)
        logging.getLogger(__name__).info("The page is at %s", demo.local_url)
        if mcp:
            prepare_mcp_server(demo, settings.limits)
        try:
            model.set_result(_load(weights, device, settings))
        except Exception as error:
            model.set_exception(error)  # requests that wait for the model get the error
            raise
        demo.block_thread()


def _load(weights: str | None, device: str | None, settings: Settings) -> Segmenter:
    """Imports torch, loads the model and says which."""
    import torch

    from mobilesam.segmenter import Segmenter

    torch.set_num_threads(usable_cores())
    segmenter = Segmenter.from_weights(weights, device, settings)
    logging.getLogger(__name__).info(
        "%s weights on %s (%s). %s",
        segmenter.weights.kind.capitalize(),
        segmenter.device,
        segmenter.backend_name,
        segmenter.weights.reason,
    )
    return segmenter
