"""What is too large, too slow or too much at once is refused, however it is sent."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mobilesam.runtime import run_in_new_thread
from mobilesam.web.server import request_limits as bodies
from mobilesam.web.server.middleware import SecurityMiddleware

PATH, QUEUED_PATH = "/gradio_api/component_server", "/gradio_api/queue/join"
UPLOAD_PATH = "/gradio_api/upload"
MAX_BODY_BYTES = 1000
PIECE = 100
FORM = "multipart/form-data; boundary=xyz"
KINDS = {PATH: "application/json", UPLOAD_PATH: FORM}

Send = Callable[..., Awaitable[httpx.Response]]


class Reader:
    """An application that reads bodies; it answers when it may."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.may_answer = asyncio.Event()
        routes = [
            Route(path, self._take, methods=["POST"]) for path in (PATH, QUEUED_PATH, UPLOAD_PATH)
        ]
        guard = Middleware(SecurityMiddleware, MAX_BODY_BYTES)
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

    return run_in_new_thread(lambda: asyncio.run(play()))


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
        for path in (PATH, UPLOAD_PATH):
            reply = await send(100 * MAX_BODY_BYTES, chunked=True, kind=KINDS[path], path=path)
            assert (reply.status_code, reply.text) == (413, "The request is too large.")

    assert played(scene).read == [MAX_BODY_BYTES]  # the upload alone, as far as it may go


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
        assert (await send(900, chunked, mark, FORM, UPLOAD_PATH)).text == "taken"

    assert played(scene).read == [300, 900]


@pytest.mark.parametrize("kind", [FORM, "multipart/x", "Multipart/form-data"])
def test_a_form_is_an_upload_or_refused(kind):
    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(PIECE, kind=kind)).status_code == 415
        assert (await send(PIECE, kind=kind, path=UPLOAD_PATH)).text == "taken"

    assert played(scene).read == [PIECE]


def test_an_upload_has_few_parts(monkeypatch):
    async def scene(_reader: Reader, send: Send) -> None:
        for chunked in (False, True):
            parts = b"--xyz" * (bodies.MAX_PARTS + 1)
            reply = await send(1, chunked, parts + b"--", FORM, UPLOAD_PATH)
            assert reply.text == "taken"
            reply = await send(1, chunked, parts + b"--xyz--", FORM, UPLOAD_PATH)
            assert reply.status_code == 413

    monkeypatch.setattr("tests.unit.test_bodies.PIECE", 7)  # so that delimiters are cut in two
    played(scene)


def test_the_name_of_a_session_is_short():
    def body(length: int) -> bytes:
        return json.dumps({"data": [], "session_hash": "s" * length}).encode()

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(1, byte=body(64))).text == "taken"
        for odd in (body(65), body(65).replace(b"session_hash", b"session\\u005fhash")):
            assert (await send(1, byte=odd)).status_code == 400
        for other in (b"[1]", b"{", b'{"session_hash": 5}', b"NaN"):
            assert (await send(1, byte=other)).text == "taken"

    played(scene)


def test_a_body_must_arrive_in_time_or_as_fast_as_the_slowest(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.2)

    async def scene(_reader: Reader, send: Send) -> None:
        for path, speed in (
            (PATH, "SLOWEST_JSON_BYTES_S"),
            (UPLOAD_PATH, "SLOWEST_UPLOAD_BYTES_S"),
        ):
            slow = functools.partial(send, chunked=True, kind=KINDS[path], path=path)
            assert (await slow(3 * PIECE, pause_s=0.02)).text == "taken"
            reply = await slow(9 * PIECE, pause_s=0.05)
            assert (reply.status_code, reply.text) == (408, "The request arrives too slowly.")
            monkeypatch.setattr(bodies, speed, PIECE / 0.06)
            assert (await slow(9 * PIECE, pause_s=0.05)).text == "taken"

    played(scene)


def test_a_body_that_stands_still_is_given_up_however_fast_it_was(monkeypatch):
    monkeypatch.setattr(bodies, "IDLE_S", 0.1)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(3 * PIECE, chunked=True, pause_s=0.05)).text == "taken"
        assert (await send(3 * PIECE, chunked=True, pause_s=0.3)).status_code == 408

    played(scene)


def test_who_is_answered_late_is_not_too_slow(monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.1)

    async def scene(reader: Reader, send: Send) -> None:
        asking = asyncio.create_task(send(PIECE))
        await asyncio.sleep(0.3)
        reader.may_answer.set()
        assert (await asking).text == "taken"

    played(scene, may_answer=False)


@pytest.mark.parametrize("path", [PATH, UPLOAD_PATH])
def test_all_requests_together_are_bounded_while_they_are_answered(monkeypatch, path):
    for bound in ("MAX_JSON_BYTES", "MAX_UPLOAD_BYTES"):
        monkeypatch.setattr(bodies, bound, 2 * MAX_BODY_BYTES)

    async def scene(reader: Reader, send: Send) -> None:
        ask = functools.partial(send, kind=KINDS[path], path=path)
        held = [asyncio.create_task(ask(MAX_BODY_BYTES)) for _ in range(2)]
        while len(reader.read) < 2:
            await asyncio.sleep(0.01)
        reply = await ask(PIECE)
        assert reply.status_code == 503
        assert "try again" in reply.text
        other_path = ({*KINDS} - {path}).pop()
        other = asyncio.create_task(send(PIECE, kind=KINDS[other_path], path=other_path))
        await asyncio.sleep(0.01)
        reader.may_answer.set()
        assert [(await one).text for one in (*held, other)] == ["taken"] * 3
        assert (await ask(MAX_BODY_BYTES)).text == "taken"

    played(scene, may_answer=False)


@pytest.mark.parametrize("path", [PATH, UPLOAD_PATH])
def test_who_stalls_with_much_gives_way_to_who_asks_little(monkeypatch, path):
    for bound in ("MAX_JSON_BYTES", "MAX_UPLOAD_BYTES"):
        monkeypatch.setattr(bodies, bound, 10 * PIECE)

    async def scene(_reader: Reader, send: Send) -> None:
        ask = functools.partial(send, kind=KINDS[path], path=path)
        stalled = asyncio.create_task(ask(10 * PIECE, chunked=True, pause_s=0.02))
        await asyncio.sleep(0.15)
        assert [(await ask(4 * PIECE)).text for _ in range(3)] == ["taken"] * 3
        assert (await stalled).status_code == 503

    played(scene)
