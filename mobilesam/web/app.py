"""Starts and stops the page, for `app.py` and the command `serve`.

The page is served before the model is loaded, because importing torch takes longer than all else.
"""

import gc
import logging
import os
import signal
from concurrent.futures import Future
from contextlib import ExitStack
from types import FrameType

from starlette.routing import BaseRoute

import mobilesam
from mobilesam.cache import SharedCache
from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_process, usable_cores
from mobilesam.settings import Settings
from mobilesam.web.server.request_log import configure_logging
from mobilesam.web.server.storage import temporary_storage

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve_page(
    weights: str | None = None,
    device: str | None = None,
    host: str | None = None,
    port: int | None = None,
    mcp: bool = False,
) -> None:
    """Serves the page, loads the model and returns when the page is stopped.

    Args:
        weights: as for `Segmenter.from_weights`, like the device.
        device: where the model runs.
        host: the address to listen on; None for GRADIO_SERVER_NAME, or else 127.0.0.1.
        port: None for GRADIO_SERVER_PORT, or else the first free one from 7860.
        mcp: whether to be an MCP server too, as with MOBILESAM_MCP=1.

    Raises:
        MobileSamError: a setting is malformed, the model cannot be loaded, or the port is taken.
    """
    configure_logging()
    tune_process()
    settings = Settings.from_env()
    # Both this and the folder of `temporary_storage` are read while gradio is imported.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with ExitStack() as cleanup:
        _stop_on_signals(cleanup)
        files = cleanup.enter_context(temporary_storage())
        from mobilesam.web.api.mcp import prepare_mcp_server
        from mobilesam.web.blocks import build_demo, close, launch_options
        from mobilesam.web.health import health_route
        from mobilesam.web.metrics import metrics_route
        from mobilesam.web.page.handlers import PageHandlers
        from mobilesam.web.server.queues import WorkQueues

        shared_cache = _shared_cache(settings.cache_url)
        mcp = mcp or settings.mcp
        model: Future[mobilesam.Segmenter] = Future()
        queues = WorkQueues()
        handlers = PageHandlers(model, files, queues)
        demo = build_demo(handlers, model, settings.limits, queues)
        routes: list[BaseRoute] = [health_route(model, handlers)]
        if settings.metrics:
            routes.append(metrics_route(model, handlers, queues))
        if settings.preview:
            routes += handlers.decoding_routes()
        try:
            demo.launch(
                server_name=host,
                server_port=port or settings.port,  # Gradio would go on to the next free one
                mcp_server=mcp,
                prevent_thread_lock=True,
                quiet=True,  # the log has the address, and public links are not offered
                **launch_options(settings.limits, routes, settings.frame_ancestors),
            )
        except OSError as error:
            raise MobileSamError(
                "The page cannot be served there. Choose a free port and a host of this machine."
            ) from error
        except ImportError as error:
            raise MobileSamError(str(error)) from error  # Gradio says how to install MCP
        cleanup.callback(close, demo)
        logger.info("The page is at %s", demo.local_url)
        try:
            if mcp:
                prepare_mcp_server(demo, settings.limits)
            model.set_result(_load(weights, device, settings, shared_cache))
            gc.collect()
            gc.freeze()  # else collections, such as while JSON is parsed, scan torch's objects too
        except Exception as error:
            model.set_exception(error)  # for the requests that wait for the model
            raise
        demo.block_thread()


def _stop_on_signals(cleanup: ExitStack) -> None:
    """Until the cleanup ends, Ctrl-C and SIGTERM start it and end the process with status 0.

    The handler raises no exception: the import or the cleanup that it interrupts might swallow it.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        logger.info("Stopping.")
        cleanup.close()
        os._exit(0)  # threads that still compute must not see the interpreter shut down

    for number in _SIGNALS:
        cleanup.callback(signal.signal, number, signal.signal(number, stop))


def _shared_cache(url: str | None) -> SharedCache | None:
    """Connects to the second level of the cache, if one is set; MobileSamError if it cannot be."""
    if not url:
        return None
    try:
        from mobilesam.redis_cache import RedisCache
    except ImportError as error:
        raise MobileSamError(
            "MOBILESAM_CACHE_URL needs redis: pip install -r requirements-redis.txt"
        ) from error
    return RedisCache(url)


def _load(
    weights: str | None, device: str | None, settings: Settings, shared_cache: SharedCache | None
) -> "mobilesam.Segmenter":
    """Imports torch, loads the model and logs which."""
    import torch

    torch.set_num_threads(usable_cores())
    segmenter = mobilesam.Segmenter.from_weights(weights, device, settings, shared_cache)
    chosen, backend = segmenter.weights, segmenter.backend
    logger.info("%s weights on %s. %s", chosen.kind.capitalize(), backend.device, chosen.reason)
    why = f": {backend.reason}" if backend.reason else ""
    logger.info("The model runs on %s modules%s.", backend.name, why)
    return segmenter
