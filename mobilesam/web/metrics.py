"""`/metrics` in Prometheus' format, with the optional package prometheus-client."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import mobilesam
from mobilesam.errors import MobileSamError
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server import request_log
from mobilesam.web.server.queues import WorkQueues

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


def metrics_route(
    model: Future["mobilesam.Segmenter"], handlers: PageHandlers, queues: WorkQueues
) -> Route:
    """The route, and from now on a measurement of every request that the log names.

    Raises:
        MobileSamError: prometheus-client is not installed.
    """
    try:
        import prometheus_client
        from prometheus_client import core
        from prometheus_client.registry import Collector
    except ImportError as error:
        raise MobileSamError(
            "MOBILESAM_METRICS needs prometheus-client: pip install -r requirements-metrics.txt"
        ) from error
    registry = prometheus_client.CollectorRegistry()
    times = {
        part: prometheus_client.Histogram(
            f"mobilesam_request_{part}_seconds", text, labels, buckets=_BUCKETS_S, registry=registry
        )
        for part, text, labels in (
            ("work", "Time in which a request was handled.", ["what", "outcome"]),
            ("wait", "Time that a request waited in its queue.", ["what"]),
        )
    }

    encodes = prometheus_client.Histogram(
        "mobilesam_encode_seconds",
        "Time to encode a photo or a crop, waiting for other encodes included.",
        buckets=_BUCKETS_S,
        registry=registry,
    )

    def measure_encodes(model: Future["mobilesam.Segmenter"]) -> None:
        if not model.exception():
            model.result().on_encode = encodes.observe

    class Measure(logging.Handler):
        """Measures what the log says about requests."""

        def emit(self, record: logging.LogRecord) -> None:
            if isinstance(request := record.__dict__.get("request"), request_log.LoggedRequest):
                times["work"].labels(request.name, request.outcome).observe(request.work_s)
                times["wait"].labels(request.name).observe(request.wait_s)

    class CurrentValues(Collector):
        """Gauges and counters, read when Prometheus asks."""

        def collect(self) -> Iterator[Any]:
            for name, text, values in _gauges(model, handlers, queues):
                labels = ["queue"] if "queue" in name else []
                family = core.GaugeMetricFamily(f"mobilesam_{name}", text, labels=labels)
                for label, value in values:
                    family.add_metric([label] if label else [], value)
                yield family
            yield from (
                core.CounterMetricFamily(f"mobilesam_{name}", text, value=count)
                for name, text, count in _counters(model)
            )

    request_log.logger.addHandler(Measure())
    registry.register(CurrentValues())
    model.add_done_callback(measure_encodes)

    async def metrics(_request: Request) -> Response:
        body = prometheus_client.generate_latest(registry)
        return Response(body, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)


def _gauges(
    model: Future["mobilesam.Segmenter"], handlers: PageHandlers, queues: WorkQueues
) -> Iterator[tuple[str, str, Iterable[tuple[str, float]]]]:
    """Name, text, and values by label."""
    is_ready = model.done() and not model.exception()
    yield "ready", "Whether the model is loaded.", [("", is_ready)]
    yield "open_photos", "Photos that pages have open.", [("", len(handlers.photos))]
    pending = [(name, queue.pending) for name, queue in vars(queues).items()]
    yield "queue_pending", "Work that runs or waits.", pending
    if is_ready:
        cache = model.result().cache_info()
        yield "cache_entries", "Embeddings in memory.", [("", cache.entries)]
        yield "cache_bytes", "Size of the cache in memory.", [("", cache.bytes)]
        if shared := model.result().shared_cache_info():
            yield "shared_cache_answers", "Whether it answers.", [("", shared.answers)]


def _counters(model: Future["mobilesam.Segmenter"]) -> Iterator[tuple[str, str, int]]:
    """Name, text and count since the start of the process; `_total` is appended to the names."""
    if not model.done() or model.exception():
        return
    cache = model.result().cache_info()
    yield "cache_hits", "Embeddings that were found in memory.", cache.hits
    yield "cache_misses", "Embeddings that were not in memory.", cache.misses
    if shared := model.result().shared_cache_info():
        yield "shared_cache_hits", "Embeddings found in the shared cache.", shared.hits
        yield "shared_cache_misses", "Embeddings not found there.", shared.misses
        yield "shared_cache_errors", "Errors of the shared cache.", shared.errors
