"""Starts the page, for `app.py` and for the terminal's `serve`.

The page comes first, the model after it: importing torch and the model's libraries takes longer
than everything else, and nobody has chosen a photo yet. On a ZeroGPU Space it is the other way
round; see `web/zero_gpu.py`.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator, usable_cores
from mobilesam.settings import Settings
from mobilesam.web.log import begin_log
from mobilesam.web.stop import stopped_by_signals
from mobilesam.web.visitor_files import visitor_files

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter
    from mobilesam.web.zero_gpu import Lend


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
    begin_log()
    tune_allocator()
    settings = Settings.from_env()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    with visitor_files() as files, stopped_by_signals(files) as serving:
        from mobilesam.web.desk import Desk
        from mobilesam.web.health import health_route
        from mobilesam.web.mcp_tools import check_mcp_installed, prepare_mcp_server
        from mobilesam.web.ui import build_demo, launch_options
        from mobilesam.web.zero_gpu import lent_gpu

        mcp = mcp or settings.mcp
        if mcp:
            check_mcp_installed()
        lend = lent_gpu(settings)
        model: Future[Segmenter] = Future()
        if lend:
            model.set_result(_load(weights, device, settings, lend))
        desk = Desk(model, files)
        demo = build_demo(desk, model, settings.limits)
        try:
            demo.launch(
                server_name=host,
                server_port=port,
                mcp_server=mcp,
                prevent_thread_lock=True,
                quiet=True,  # Gradio would speak of public links; the next line says what is needed
                **launch_options(settings.limits, [health_route(model, desk)]),
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
        if not lend:
            try:
                model.set_result(_load(weights, device, settings))
            except Exception as error:
                model.set_exception(
                    error
                )  # who waits for the model is told, and the process can end
                raise
        demo.block_thread()


def _load(
    weights: str | None, device: str | None, settings: Settings, lend: Lend | None = None
) -> Segmenter:
    """Imports torch, loads the model and says which."""
    import torch

    from mobilesam.segmenter import Segmenter
    from mobilesam.web.zero_gpu import load_with_lent_gpu

    torch.set_num_threads(usable_cores())
    if lend:
        segmenter = load_with_lent_gpu(lend, weights, settings)
    else:
        segmenter = Segmenter.from_weights(weights, device, settings)
    logging.getLogger(__name__).info(
        "%s weights on %s (%s). %s",
        segmenter.weights.kind.capitalize(),
        segmenter.device,
        segmenter.network_name,
        segmenter.weights.reason,
    )
    return segmenter
