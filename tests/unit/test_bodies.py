"""What is too large, too slow or too much at once is refused, however it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mobilesam.runtime import in_fresh_thread
from mobilesam.web import bodies
from mobilesam.web.guard import Guard

PATH, QUEUED_PATH = "/gradio_api/upload", "/gradio_api/queue/join"
MAX_BODY_BYTES = 1000
PIECE = 100
FORM = "multipart/form-data; boundary=x"

Send = Callable[..., Awaitable[httpx.Response]]


class Reader:
    """An application that reads bodies; it answers when it may."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.may_answer = asyncio.Event()
        routes = [Route(path, self._take, methods=["POST"]) for path in (PATH, QUEUED_PATH)]
        guard = Middleware(Guard, MAX_BODY_BYTES)
        self.app = Starlette(routes=routes, middleware=[guard])

    async def _take(self, request: Request) -> PlainTextResponse:
        at = len(self.read)
        self.read.append(0)
        async for piece in request.stream():
            self.read[at] += len(piece)
        gone = asyncio.create_task(request.receive())  # as an answer that is streamed has it
        await self.may_answer.wait()
        await asyncio.sleep(0)
        listens = not gone.done()
        gone.cancel()
        return PlainTextResponse("taken" if listens else "missed")


def played(scene: Callable[[Reader, Send], Awaitable[object]], may_answer: bool = True) -> Reader:
    """Plays scene(reader, send), where `await send(size, chunked, ...)` is an answer."""

    async def pieces(body: bytes, pause_s: float) -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            await asyncio.sleep(pause_s)
            yield body[start : start + PIECE]

    async def play() -> Reader:
        reader = Reader()
        if may_answer:
            reader.may_answer.set()
        transport = httpx.ASGITransport(reader.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

            async def send(
                size: int,
                chunked: bool = False,
                byte: bytes = b"a",
                kind: str = "application/json",
                path: str = PATH,
                pause_s: float = 0,
            ) -> httpx.Response:
                content = pieces(size * byte, pause_s) if chunked else size * byte
                return await client.post(path, content=content, headers={"Content-Type": kind})

            await scene(reader, send)
            return reader

    return in_fresh_thread(lambda: asyncio.run(play()))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_bound_arrives_whole(chunked):
    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(MAX_BODY_BYTES, chunked)).text == "taken"

    assert played(scene).read == [MAX_BODY_BYTES]


def test_a_body_that_says_that_it_is_too_large_is_not_read():
    async def scene(_reader: Reader, send: Send) -> None:
        reply = await send(MAX_BODY_BYTES + 1)
        assert (reply.status_code, reply.text) == (413, "The request is too large.")
        assert reply.headers["x-content-type-options"] == "nosniff"

    assert played(scene).read == []


def test_a_body_that_does_not_say_so_is_read_up_to_the_bound():
    async def scene(_reader: Reader, send: Send) -> None:
        reply = await send(100 * MAX_BODY_BYTES, chunked=True)
        assert (reply.status_code, reply.text) == (413, "The request is too large.")

    assert played(scene).read == [MAX_BODY_BYTES]


def test_what_waits_in_gradios_queue_must_be_smaller(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_QUEUED_BYTES", 300)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(300, path=QUEUED_PATH)).text == "taken"
        for chunked in (False, True):
            assert (await send(301, chunked, path=QUEUED_PATH)).status_code == 413
        assert (await send(301)).text == "taken"

    played(scene)


@pytest.mark.parametrize("mark", [b"[", b"{"])
@pytest.mark.parametrize("chunked", [False, True])
def test_json_of_a_great_many_lists_is_not_parsed(monkeypatch, mark, chunked):
    monkeypatch.setattr(bodies, "MAX_LISTS", 300)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(300, chunked, mark)).text == "taken"
        assert (await send(301, chunked, mark)).status_code == 413
        # A photo may have any bytes.
        assert (await send(MAX_BODY_BYTES, chunked, mark, FORM)).text == "taken"

    assert max(played(scene).read[:2]) <= 300


def test_a_body_must_arrive_in_time_or_as_fast_as_the_slowest(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.2)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(3 * PIECE, chunked=True, pause_s=0.02)).text == "taken"
        reply = await send(9 * PIECE, chunked=True, pause_s=0.05)
        assert (reply.status_code, reply.text) == (408, "The request arrives too slowly.")
        monkeypatch.setattr(bodies, "SLOWEST_BYTES_S", PIECE / 0.06)
        assert (await send(9 * PIECE, chunked=True, pause_s=0.05)).text == "taken"

    played(scene)


def test_who_is_answered_late_is_not_too_slow(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.1)

    async def scene(reader: Reader, send: Send) -> None:
        asking = asyncio.create_task(send(PIECE))
        await asyncio.sleep(0.3)
        reader.may_answer.set()
        assert (await asking).text == "taken"

    played(scene, may_answer=False)


def test_the_json_of_all_requests_together_is_bounded_while_they_are_answered(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", 2 * MAX_BODY_BYTES)

    async def scene(reader: Reader, send: Send) -> None:
        held = [asyncio.create_task(send(MAX_BODY_BYTES)) for _ in range(2)]
        while len(reader.read) < 2:
            await asyncio.sleep(0.01)
        reply = await send(PIECE)
        assert reply.status_code == 503
        assert "try again" in reply.text
        photo = asyncio.create_task(send(PIECE, kind=FORM))  # it goes to the disk
        await asyncio.sleep(0.01)
        reader.may_answer.set()
        assert [(await one).text for one in (*held, photo)] == ["taken"] * 3
        assert (await send(MAX_BODY_BYTES)).text == "taken"

    played(scene, may_answer=False)
