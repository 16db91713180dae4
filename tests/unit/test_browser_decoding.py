"""What a page gets in order to decode masks itself, and what it is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette

import mobilesam.browser_decoder
from mobilesam.errors import WeightsError
from mobilesam.settings import Settings
from mobilesam.web.page import browser_decoding
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server.queues import WorkQueue
from mobilesam.web.server.replies import ExpiredError
from tests.event_loop import run_async
from tests.opening import close_tab, opened

NO_PHOTO = "The server no longer has this photo. Open it again."


def ask(
    handlers: PageHandlers, work: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
) -> httpx.Response:
    """What the routes answer."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=handlers.decoding_routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await work(client)

    return run_async(run())


def embedding(handlers: PageHandlers, query: object) -> httpx.Response:
    return ask(handlers, lambda client: client.post("/decoder/embedding", json=query))


def test_the_reply_that_opens_a_photo_says_where_the_decoder_is(handlers, photo, segmenter):
    offer = opened(handlers, photo)["decoder"]
    weights = ask(handlers, lambda client: client.get("/" + offer["weights"]["path"]))
    assert weights.content == mobilesam.browser_decoder.decoder_weights(segmenter.backend)
    assert len(weights.content) == offer["weights"]["bytes"]
    digest = hashlib.sha256(weights.content).digest()
    assert offer["weights"]["integrity"] == f"sha256-{base64.b64encode(digest).decode()}"
    assert digest.hex() in offer["weights"]["path"]
    assert weights.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert offer["embedding"] == {"path": "decoder/embedding", "bytes": 64 * 64 * 256 * 2}
    assert offer["input_size"] == [683, 1024]
    assert offer["confidence_weight"] == 0.0


def test_the_embedding_is_that_of_the_photo_in_float16(handlers, photo, segmenter):
    reply = embedding(handlers, {"token": opened(handlers, photo)["token"]})
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    features = segmenter.encode(photo).features[0].permute(1, 2, 0).numpy()
    received = np.frombuffer(reply.content, "<f2").reshape(features.shape)
    assert np.array_equal(received, features.astype(np.float16))


@pytest.mark.parametrize("query", [{"token": "x" * 32}, {"token": None}, {"token": [1]}, {}])
def test_an_unknown_token_gets_the_sentence_of_a_click(handlers, photo, query):
    opened(handlers, photo)
    reply = embedding(handlers, query)
    assert reply.status_code == 404
    assert reply.json() == {"ok": False, "error": NO_PHOTO, "expired": True}
    click = handlers.segment({**query, "interactions": []})
    assert click == reply.json()


def test_a_photo_that_was_closed_or_dropped_from_the_cache_has_expired(
    handlers, photo, segmenter, monkeypatch
):
    token = opened(handlers, photo)["token"]
    with monkeypatch.context() as patch:
        patch.setattr(segmenter, "cached", lambda _key: None)
        reply = embedding(handlers, {"token": token})
    assert (reply.status_code, reply.json()["expired"]) == (404, True)
    run_async(close_tab(handlers, "one"))
    assert embedding(handlers, {"token": token}).json()["error"] == NO_PHOTO


@pytest.mark.parametrize("query", [None, [], "token", 3])
def test_a_body_that_is_no_object_is_refused_with_a_sentence(handlers, query):
    reply = embedding(handlers, query)
    assert reply.status_code == 400
    assert "does not understand" in reply.json()["error"]


def test_only_the_weights_of_the_loaded_model_have_an_address(handlers, photo):
    path = "/decoder/weights/" + "0" * 64
    for _ in range(2):  # before the weights are made, and after
        assert ask(handlers, lambda client: client.get(path)).status_code == 404
        opened(handlers, photo)


def test_the_setting_and_values_too_large_for_float16_offer_nothing(
    handlers, photo, segmenter, monkeypatch
):
    def fail(_backend: object) -> bytes:
        raise WeightsError("A value is too large.")

    monkeypatch.setattr(segmenter, "settings", replace(Settings(), preview=False))
    assert opened(handlers, photo)["decoder"] is None
    monkeypatch.setattr(segmenter, "settings", Settings())
    monkeypatch.setattr(mobilesam.browser_decoder, "decoder_weights", fail)
    reply = opened(handlers, photo)
    assert reply["ok"]
    assert reply["decoder"] is None


@pytest.mark.slow
def test_few_embeddings_are_in_memory_at_a_time_and_the_others_wait_or_are_refused(monkeypatch):
    monkeypatch.setattr(browser_decoding, "MAX_READERS", 2)
    monkeypatch.setattr(browser_decoding, "WAIT_S", 0.3)
    hold, made = threading.Event(), []

    def embedding_of(token: object) -> None:
        made.append(token)
        raise ExpiredError(NO_PHOTO)

    async def run() -> list[int]:
        queue = WorkQueue(1, 8, "busy")
        queue.submit(hold.wait)
        endpoint = browser_decoding.EmbeddingEndpoint(queue, embedding_of)
        transport = httpx.ASGITransport(endpoint)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            asked = [asyncio.create_task(client.post("/", json={"token": n})) for n in range(5)]
            await asyncio.sleep(0.6)
            hold.set()
            statuses = [(await one).status_code for one in asked]
            statuses.append((await client.post("/", json={"token": 5})).status_code)
            return statuses

    assert run_async(run()) == [404, 404, 503, 503, 503, 404]
    assert made == [0, 1, 5]


@pytest.mark.slow
def test_more_than_so_many_that_wait_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(browser_decoding, "MAX_READERS", 1)
    monkeypatch.setattr(browser_decoding, "MAX_WAITING", 2)
    hold = threading.Event()

    def embedding_of(_token: object) -> None:
        raise ExpiredError(NO_PHOTO)

    async def run() -> tuple[list[bool], list[int]]:
        queue = WorkQueue(1, 8, "busy")
        queue.submit(hold.wait)
        transport = httpx.ASGITransport(browser_decoding.EmbeddingEndpoint(queue, embedding_of))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            asked = [asyncio.create_task(client.post("/", json={})) for _ in range(5)]
            await asyncio.sleep(0.5)
            done = [one.done() for one in asked]
            hold.set()
            return done, [(await one).status_code for one in asked]

    assert run_async(run()) == ([False] * 3 + [True] * 2, [404] * 3 + [503] * 2)


@pytest.mark.slow
def test_waiting_is_logged_apart_from_work_and_the_clients_reading_not_at_all(caplog):
    caplog.set_level(logging.INFO, logger="mobilesam.web.server.request_log")

    def embedding_of(_token: object) -> None:
        raise ExpiredError(NO_PHOTO)

    async def send(_message: object) -> None:
        await asyncio.sleep(0.3)

    async def ask_twice() -> None:
        messages = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
        queue = WorkQueue(1, 0, "busy")
        endpoint = browser_decoding.EmbeddingEndpoint(queue, embedding_of)

        async def receive() -> object:
            return messages.pop(0) if len(messages) == 2 else await asyncio.sleep(60)

        queue.submit(lambda: None).result()
        await endpoint({"type": "http", "method": "POST", "headers": []}, receive, send)
        messages.insert(0, {"type": "http.request", "body": b"{}"})

        async def gone() -> object:
            return messages.pop(0)

        await endpoint({"type": "http", "method": "POST", "headers": []}, gone, send)

    run_async(ask_twice())
    (record,) = caplog.records  # a client that has gone is not answered
    assert record.request.outcome == "ExpiredError"
    assert record.request.work_s < 0.25
