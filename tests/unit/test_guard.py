"""What is too large is refused before it is read, however it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mobilesam.runtime import in_fresh_thread
from mobilesam.web import guard
from mobilesam.web.guard import Guard

PATH = "/gradio_api/upload"
MAX_BODY_BYTES = 1000
PIECE = 100


@pytest.fixture
def read() -> list[int]:
    """How many bytes the application got to read."""
    return []


@pytest.fixture
def post(read: list[int]):
    """post(size, chunked, byte, kind): the answer to a body of that size."""

    async def take(request: Request) -> PlainTextResponse:
        read.append(0)
        async for piece in request.stream():
            read[-1] += len(piece)
        return PlainTextResponse("taken")

    routes = [Route(PATH, take, methods=["POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, MAX_BODY_BYTES)])

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    async def send(body: bytes, chunked: bool, kind: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            content = pieces(body) if chunked else body
            return await client.post(PATH, content=content, headers={"Content-Type": kind})

    def post(size: int, chunked: bool, byte: bytes = b"a", kind: str = "application/json"):
        return in_fresh_thread(lambda: asyncio.run(send(size * byte, chunked, kind)))

    return post


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_bound_arrives_whole(post, read, chunked):
    assert post(MAX_BODY_BYTES, chunked).text == "taken"
    assert read == [MAX_BODY_BYTES]


def test_a_body_that_says_that_it_is_too_large_is_not_read(post, read):
    reply = post(MAX_BODY_BYTES + 1, chunked=False)
    assert reply.status_code == 413
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert read == []


def test_a_body_that_does_not_say_so_is_read_up_to_the_bound(post, read):
    reply = post(100 * MAX_BODY_BYTES, chunked=True)
    assert reply.status_code == 413
    assert reply.text == "The request is too large."
    assert read == [MAX_BODY_BYTES]


@pytest.mark.parametrize("mark", [b"[", b"{"])
@pytest.mark.parametrize("chunked", [False, True])
def test_json_of_a_great_many_lists_is_not_parsed(post, read, monkeypatch, mark, chunked):
    monkeypatch.setattr(guard, "_MAX_LISTS", 300)
    assert post(300, chunked, mark).text == "taken"
    assert post(301, chunked, mark).status_code == 413
    assert max(read) <= 300


def test_a_photo_may_have_any_bytes(post, monkeypatch):
    monkeypatch.setattr(guard, "_MAX_LISTS", 300)
    assert post(MAX_BODY_BYTES, False, b"[", "multipart/form-data; boundary=x").text == "taken"
