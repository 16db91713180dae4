"""`/healthz`: whether photos are answered, and how full the server is; nothing of any visitor."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import starlette.requests
from starlette.responses import JSONResponse
from starlette.routing import Route

import mobilesam
from mobilesam.web.page.handlers import PageHandlers

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.segmenter import Segmenter


def health_route(model: Future[Segmenter], handlers: PageHandlers) -> Route:
    """The route, for the application that serves the page.

    It answers 200 when photos are answered, and 503 while the model is being loaded or when that
    has failed: whoever looks at the status alone sends visitors only where they are served.

    Args:
        model: the segmenter, or the promise of one.
        handlers: counts the open photos.
    """
    started = time.monotonic()

    # Not in a thread: visitors may hold all of these.
    async def healthz(_request: starlette.requests.Request) -> JSONResponse:
        report = {
            "version": mobilesam.__version__,
            "uptime_s": round(time.monotonic() - started),
            "open_photos": handlers.open_photos,
            **_model_report(model),
        }
        return JSONResponse(
            report,
            status_code=200 if report["status"] == "ready" else 503,
            headers={"Cache-Control": "no-store"},
        )

    return Route("/healthz", healthz)


def _model_report(model: Future[Segmenter]) -> dict[str, Any]:
    if not model.done():
        return {"status": "loading"}
    if model.exception():
        return {"status": "failed"}
    segmenter = model.result()
    cache = segmenter.cache_info()
    return {
        "status": "ready",
        "weights": segmenter.weights.kind,
        "device": str(segmenter.device),
        "modules": segmenter.backend_name,
        "cache": {**cache._asdict(), "max_bytes": segmenter.settings.cache_bytes},
    }
