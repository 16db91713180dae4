"""Starts the page, for `app.py` and for the terminal's `serve`.

This module imports nothing heavy before the process is told how to allocate memory.
"""

from __future__ import annotations

import logging
import os

from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator, usable_cores


def serve_page(
    weights: str | None = None,
    device: str | None = None,
    host: str | None = None,
    port: int | None = None,
) -> None:
    """Loads the model and serves the page until it is stopped.

    Args:
        weights: as `Segmenter.from_weights` takes them.
        device: as `Segmenter.from_weights` takes it.
        host: where to listen; None for GRADIO_SERVER_NAME, else 127.0.0.1.
        port: None for GRADIO_SERVER_PORT, else the first free one from 7860 on.

    Raises:
        MobileSamError: the model cannot be loaded, or there is no listening there.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tune_allocator()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

    import torch

    from mobilesam.segmenter import Segmenter
    from mobilesam.web.ui import build_demo, launch_options

    torch.set_num_threads(usable_cores())
    segmenter = Segmenter.from_weights(weights, device)
    logging.getLogger("mobilesam").info(
        "%s weights on %s (%s). %s",
        segmenter.weights.kind.capitalize(),
        segmenter.device,
        segmenter.network_name,
        segmenter.weights.reason,
    )
    demo = build_demo(segmenter)
    try:
        demo.launch(server_name=host, server_port=port, **launch_options(segmenter))
    except OSError as error:
        raise MobileSamError(
            "The page cannot listen there: the port is taken, or the host is not this machine's; "
            "name others."
        ) from error
