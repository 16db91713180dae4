"""Photos that the page has encoded before they are opened, and photos that it closes."""

from __future__ import annotations

import time
from functools import partial

import pytest
from PIL import Image

from tests.event_loop import run_async
from tests.opening import upload


@pytest.fixture
def query(disc, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "next.png"
    Image.fromarray(disc).save(path)
    return {"path": upload(path), "name": "next.png"}


@pytest.mark.slow
def test_a_photo_is_encoded_ahead_once_nobody_needs_the_server(handlers, query):
    busy = handlers._queues.clicks.submit(partial(time.sleep, 1.3))
    reply = run_async(handlers.opening.open({**query, "ahead": True}, "one"))
    assert (reply["state"], reply["position"]) == ("queued", 0)
    assert not busy.done()
    while reply["state"] != "done":
        reply = run_async(handlers.opening.open({"token": reply["token"], "ahead": True}, "one"))
    assert reply["ok"]
    assert busy.done()


@pytest.mark.slow
def test_a_photo_that_is_wanted_now_does_not_wait_for_an_idle_server(handlers, query):
    busy = handlers._queues.clicks.submit(partial(time.sleep, 4))
    token = run_async(handlers.opening.open({**query, "ahead": True}, "one"))["token"]
    reply = run_async(handlers.opening.open({"token": token}, "one"))
    while reply["state"] != "done":
        reply = run_async(handlers.opening.open({"token": token}, "one"))
    assert reply["ok"]
    assert not busy.done()


def test_a_photo_that_the_page_closes_is_gone_with_its_files(handlers, query):
    reply = run_async(handlers.opening.open(query, "one"))
    folder = handlers.photos.get(reply["token"]).folder
    hostile = [reply["token"], "unknown", 3, None, [1], {}]
    assert handlers.opening.close({"tokens": hostile}) == {"ok": True}
    assert not folder.exists()
    assert handlers.files.export({"token": reply["token"]})["expired"]


@pytest.mark.parametrize("tokens", [None, "abc", {"a": 1}, 5])
def test_tokens_that_are_no_list_close_nothing(handlers, tokens):
    assert handlers.opening.close({"tokens": tokens}) == {"ok": True}
