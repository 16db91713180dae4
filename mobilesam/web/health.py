"""`/healthz`: whether the model is loaded, and how full the server is."""

import time
from concurrent.futures import Future
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import mobilesam
from mobilesam.web.page.handlers import PageHandlers


def health_route(model: Future["mobilesam.Segmenter"], handlers: PageHandlers) -> Route:
    """The route, which answers 200 once the model is loaded, and 503 before or if that failed.

    A load balancer that checks the status alone therefore sends users only to ready servers.
    """
    started = time.monotonic()

    # Not in a thread: requests may occupy all of them.
    async def healthz(_request: Request) -> JSONResponse:
        is_ready = model.done() and not model.exception()
        report: dict[str, Any] = {
            "version": mobilesam.__version__,
            "uptime_s": round(time.monotonic() - started),
            "open_photos": len(handlers.photos),
            "status": "ready" if is_ready else "failed" if model.done() else "loading",
        }
        if is_ready:
            segmenter = model.result()
            cache = segmenter.cache_info()._asdict()
            report |= {
                "weights": segmenter.weights.kind,
                "device": str(segmenter.backend.device),
                "modules": segmenter.backend.name,
                "modules_reason": segmenter.backend.reason,
                "cache": {**cache, "max_bytes": segmenter.settings.cache_bytes},
            }
            if shared := segmenter.shared_cache_info():
                report["shared_cache"] = {"kind": "redis", **shared._asdict()}
        status = 200 if is_ready else 503
        return JSONResponse(report, status, headers={"Cache-Control": "no-store"})

    return Route("/healthz", healthz)
