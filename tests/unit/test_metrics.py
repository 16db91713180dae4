"""`/metrics`: what Prometheus reads about requests, queues and the cache."""

from __future__ import annotations

import logging
import sys
import threading
from concurrent.futures import Future

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mobilesam import MobileSamError, PromptError
from mobilesam.cache import SharedCacheInfo
from mobilesam.web.metrics import metrics_route
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server import request_log
from mobilesam.web.server.queues import WorkQueues


@pytest.fixture(autouse=True)
def logger(monkeypatch):
    monkeypatch.setattr(request_log.logger, "handlers", [])
    level = request_log.logger.level
    request_log.logger.setLevel(logging.INFO)
    yield
    request_log.logger.setLevel(level)


@pytest.fixture
def queues():
    return WorkQueues()


@pytest.fixture
def model(segmenter):
    model = Future()
    model.set_result(segmenter)
    return model


@pytest.fixture
def read(model, queues, tmp_path):
    """Reads /metrics: values by name and labels, those in the order of their names."""
    route = metrics_route(model, PageHandlers(model, tmp_path, queues), queues)
    client = TestClient(Starlette(routes=[route]))

    def values():
        reply = client.get("/metrics")
        assert reply.headers["content-type"].startswith("text/plain")
        return {
            (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(reply.text)
            for sample in family.samples
        }

    return values


def test_requests_are_counted_by_kind_and_outcome(read):
    for _ in range(2):
        with request_log.logged_request("segment"):
            pass
    with pytest.raises(PromptError), request_log.logged_request("segment"):
        raise PromptError("outside")
    with pytest.raises(MobileSamError), request_log.logged_request("open"):
        raise RuntimeError("a bug")
    values = read()
    count = "mobilesam_request_work_seconds_count"
    assert values[count, "ok", "segment"] == 2
    assert values[count, "PromptError", "segment"] == 1
    assert values[count, "failed", "open"] == 1
    assert values["mobilesam_request_wait_seconds_count", "segment"] == 3
    assert 0 <= values["mobilesam_request_work_seconds_sum", "ok", "segment"] < 1


def test_queues_photos_and_the_cache_are_what_they_are_now(read, queues, segmenter, draw_disc):
    assert read()["mobilesam_queue_pending", "clicks"] == 0
    go = threading.Event()
    waiting = [queues.photos.submit(go.wait) for _ in range(3)]
    segmenter.encode(draw_disc(0))
    segmenter.encode(draw_disc(0))
    values = read()
    go.set()
    [future.result() for future in waiting]
    assert values["mobilesam_queue_pending", "photos"] == 3
    assert values["mobilesam_cache_entries",] == 1
    assert values["mobilesam_cache_hits_total",] == 1
    assert values["mobilesam_cache_bytes",] == segmenter.cache_info().bytes
    assert values["mobilesam_ready",] == 1
    assert read()["mobilesam_queue_pending", "photos"] == 0


def test_encodes_are_measured(read, segmenter, draw_disc):
    assert read()["mobilesam_encode_seconds_count",] == 0
    for seed in (0, 0, 1):
        segmenter.encode(draw_disc(seed))
    values = read()
    assert values["mobilesam_encode_seconds_count",] == 2
    assert 0 < values["mobilesam_encode_seconds_sum",] < 60


def test_the_shared_cache_is_counted_apart(read, segmenter, monkeypatch):
    assert not any("shared" in name for name, *_ in read())
    told = SharedCacheInfo(hits=3, misses=4, errors=5, answers=True)
    monkeypatch.setattr(segmenter, "shared_cache_info", lambda: told)
    values = read()
    names = ("hits_total", "misses_total", "errors_total", "answers")
    assert [values[f"mobilesam_shared_cache_{name}",] for name in names] == [3, 4, 5, 1]


def test_before_the_model_is_loaded_it_is_not_ready(queues, tmp_path):
    model = Future()
    route = metrics_route(model, PageHandlers(model, tmp_path, queues), queues)
    text = TestClient(Starlette(routes=[route])).get("/metrics").text
    assert "mobilesam_ready 0.0" in text
    assert "cache" not in text


def test_without_the_package_it_says_what_to_install(model, queues, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MobileSamError, match=r"pip install -r requirements-metrics\.txt"):
        metrics_route(model, PageHandlers(model, tmp_path, queues), queues)
