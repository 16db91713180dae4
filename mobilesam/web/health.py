"""`/healthz`: whether the model is loaded, and how full the server is."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import mobilesam
from mobilesam.web.page.handlers import PageHandlers


def health_route(model: Future[mobilesam.Segmenter], handlers: PageHandlers) -> Route:
    """The route, which answers 200 once the model is loaded, and 503 before or if that failed.

    A load balancer that checks the status alone therefore sends users only to ready servers.
    """
    started = time.monotonic()

    # Not in a thread: requests may occupy all of them.
    async def healthz(_request: Request) -> JSONResponse:
        report: dict[str, Any] = {
            "version": mobilesam.__version__,
            "uptime_s": round(time.monotonic() - started),
            "open_photos": handlers.open_photos,
            "status": "loading",
        }
        if model.done() and model.exception():
            report["status"] = "failed"
        elif model.done():
            segmenter = model.result()
            report |= {
                "status": "ready",
                "weights": segmenter.weights.kind,
                "device": str(segmenter.device),
                "modules": segmenter.backend_name,
                "cache": {
                    **segmenter.cache_info()._asdict(),
                    "max_bytes": segmenter.settings.cache_bytes,
                },
            }
        status = 200 if report["status"] == "ready" else 503
        return JSONResponse(report, status, headers={"Cache-Control": "no-store"})

    return Route("/healthz", healthz)
