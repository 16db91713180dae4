"""Requests that are too large, too slow or too many at once are refused, however they are sent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope
from starlette.types import Send as AsgiSend

from mobilesam.web.server import request_limits as module
from mobilesam.web.server.middleware import SecurityMiddleware
from mobilesam.web.server.request_limits import RequestLimits
from tests.event_loop import run_async

PATH, QUEUED_PATH = "/gradio_api/component_server", "/gradio_api/queue/join"
UPLOAD_PATH = "/gradio_api/upload"
MAX_BODY_BYTES = 1000
CHUNK = 100
FORM = "multipart/form-data; boundary=xyz"
JSON = "application/json"
KINDS = {PATH: JSON, UPLOAD_PATH: FORM}

Send = Callable[..., Awaitable[httpx.Response]]


def json_of(size: int) -> bytes:
    """A string of JSON with so many bytes."""
    return b'"' + (size - 2) * b"a" + b'"'


class Reader:
    """An application that reads bodies and answers when it may."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.may_answer = asyncio.Event()
        routes = [
            Route(path, self._read, methods=["GET", "POST"])
            for path in (PATH, QUEUED_PATH, UPLOAD_PATH)
        ]
        middleware = Middleware(SecurityMiddleware, MAX_BODY_BYTES)
        self.app = Starlette(routes=routes, middleware=[middleware])

    async def _read(self, request: Request) -> PlainTextResponse:
        index = len(self.read)
        self.read.append(0)
        if request.method == "POST":
            async for chunk in request.stream():
                self.read[index] += len(chunk)
        # As a streamed response waits for it.
        disconnected = asyncio.create_task(request.receive())
        await self.may_answer.wait()
        await asyncio.sleep(0)
        is_connected = not disconnected.done()
        disconnected.cancel()
        return PlainTextResponse("read" if is_connected else "disconnected")


def run_scene(
    scene: Callable[[Reader, Send], Awaitable[object]], may_answer: bool = True
) -> Reader:
    """Runs scene(reader, send), where `await send(content, chunked, ...)` is a response."""

    async def chunks(content: bytes, size: int, pause_s: float) -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            await asyncio.sleep(pause_s)
            yield content[start : start + size]

    async def run() -> Reader:
        reader = Reader()
        if may_answer:
            reader.may_answer.set()
        transport = httpx.ASGITransport(reader.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

            async def send(
                content: bytes,
                chunked: bool = False,
                kind: str = JSON,
                path: str = PATH,
                pause_s: float = 0,
                chunk: int = CHUNK,
            ) -> httpx.Response:
                body = chunks(content, chunk, pause_s) if chunked else content
                return await client.post(path, content=body, headers={"Content-Type": kind})

            await scene(reader, send)
            return reader

    return run_async(run())


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """limits(pool, **values): the bounds of one pool of each middleware made from now on."""

    def set_limits(name: str, **values: float) -> None:
        def init(self: RequestLimits, app: object, max_body_bytes: int) -> None:
            original(self, app, max_body_bytes)
            for field, value in values.items():
                setattr(getattr(self, name), field, value)

        original = RequestLimits.__init__
        monkeypatch.setattr(RequestLimits, "__init__", init)

    return set_limits


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_limit_arrives_whole(chunked):
    async def scene(_reader: Reader, send: Send) -> None:
        for path, kind in KINDS.items():
            reply = await send(json_of(MAX_BODY_BYTES), chunked, kind, path)
            assert reply.text == "read"

    assert run_scene(scene).read == 2 * [MAX_BODY_BYTES]


def test_a_body_that_is_declared_too_large_is_not_read():
    async def scene(_reader: Reader, send: Send) -> None:
        reply = await send(json_of(MAX_BODY_BYTES + 1))
        assert reply.status_code == 413
        assert reply.headers["x-content-type-options"] == "nosniff"

    assert run_scene(scene).read == []


def test_a_body_of_unknown_length_is_read_up_to_the_limit():
    async def scene(_reader: Reader, send: Send) -> None:
        for path, kind in KINDS.items():
            reply = await send(json_of(100 * MAX_BODY_BYTES), True, kind, path)
            assert reply.status_code == 413

    assert run_scene(scene).read == [MAX_BODY_BYTES]  # of the upload, while it was read


def test_a_request_that_gradio_queues_has_a_smaller_limit(monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 300)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(json_of(300), path=QUEUED_PATH)).text == "read"
        for chunked in (False, True):
            assert (await send(json_of(301), chunked, path=QUEUED_PATH)).status_code == 413
        assert (await send(json_of(301))).text == "read"

    run_scene(scene)


@pytest.mark.parametrize("item", [b"[]", b"{}", b'""', rb'"\\"'])
@pytest.mark.parametrize("chunked", [False, True])
def test_json_with_very_many_lists_or_strings_is_not_parsed(monkeypatch, item, chunked):
    """Nor with many keys, each of which is a string."""
    monkeypatch.setattr(module, "MAX_PARSED", 31)

    def items(count: int) -> bytes:
        return b"[" + b",".join((count - 1) * [item]) + b"]"

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(items(31), chunked)).text == "read"
        assert (await send(items(32), chunked)).status_code == 413
        # A photo may contain any bytes.
        assert (await send(items(90), chunked, FORM, UPLOAD_PATH)).text == "read"

    assert run_scene(scene).read == [len(items(31)), len(items(90))]


def test_json_with_very_many_numbers_is_not_parsed(monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 31)

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(b"[" + 31 * b"1," + b"1]")).text == "read"
        assert (await send(b"[" + 32 * b"1," + b"1]")).status_code == 413

    run_scene(scene)


@pytest.mark.parametrize("content", [b"{", b"[1,]", b"\xff", b"a=1", b"[" * 900])
def test_a_body_that_is_not_json_is_refused_without_a_word_in_the_log(content, caplog):
    caplog.set_level(logging.INFO)

    async def scene(_reader: Reader, send: Send) -> None:
        reply = await send(content)
        assert (reply.status_code, reply.text) == (400, "The request is not valid JSON.")

    assert run_scene(scene).read == []
    assert [one for one in caplog.records if one.name != "httpx"] == []


def test_a_deeply_nested_body_is_refused():
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("It must not reach the application.")

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(SecurityMiddleware(app, 10**6))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post(PATH, content=200_000 * b"[" + 200_000 * b"]")

    assert run_async(post()).status_code == 400


@pytest.mark.parametrize("kind", [FORM, "multipart/x", "Multipart/form-data"])
def test_a_form_is_an_upload_or_refused(kind):
    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(json_of(CHUNK), kind=kind)).status_code == 415
        assert (await send(json_of(CHUNK), kind=kind, path=UPLOAD_PATH)).text == "read"

    assert run_scene(scene).read == [CHUNK]


@pytest.mark.parametrize(
    "kind", [FORM, 'multipart/form-data; boundary="xyz"', f'multipart/x; a="boundary=q"; {FORM}']
)
def test_an_upload_has_few_parts(kind):
    async def scene(_reader: Reader, send: Send) -> None:
        parts = b"--xyz" * (module.MAX_PARTS + 1)
        for chunked in (False, True):  # in chunks of 7 bytes, delimiters are cut in two
            post = functools.partial(send, chunked=chunked, kind=kind, path=UPLOAD_PATH, chunk=7)
            assert (await post(parts + b"--")).text == "read"
            assert (await post(parts + b"--xyz--")).status_code == 413

    run_scene(scene)


def test_an_upload_has_no_id_that_gradio_would_keep():
    seen = []

    async def app(scope: dict, receive: object, send: object) -> None:
        seen.append(scope["query_string"])

    async def post() -> None:
        transport = httpx.ASGITransport(RequestLimits(app, MAX_BODY_BYTES))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            for path in (UPLOAD_PATH, QUEUED_PATH):
                with contextlib.suppress(AssertionError):  # of the transport: there is no response
                    await client.post(f"{path}?upload_id={90 * 'a'}")

    run_async(post())
    assert seen == [b"", b"upload_id=" + 90 * b"a"]


def test_a_request_for_an_embedding_is_small():
    read = []

    async def app(scope: Scope, receive: Receive, send: AsgiSend) -> None:
        read.append(len(await Request(scope, receive).body()))
        await PlainTextResponse("read")(scope, receive, send)

    async def post() -> list[int]:
        transport = httpx.ASGITransport(RequestLimits(app, 10 * module.MAX_SMALL_BYTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            sizes = (module.MAX_SMALL_BYTES, module.MAX_SMALL_BYTES + 1)
            replies = [await client.post("/decoder/embedding", content=json_of(n)) for n in sizes]
            return [reply.status_code for reply in replies]

    assert run_async(post()) == [200, 413]
    assert read == [module.MAX_SMALL_BYTES]


def test_the_name_of_a_session_is_short():
    def body(length: int) -> bytes:
        return json.dumps({"data": [], "session_hash": "s" * length}).encode()

    async def scene(_reader: Reader, send: Send) -> None:
        assert (await send(body(64))).text == "read"
        for odd in (body(65), body(65).replace(b"session_hash", b"session\\u005fhash")):
            assert (await send(odd)).status_code == 400
        for other in (b"[1]", b'{"session_hash": 5}', b"NaN", b""):
            assert (await send(other)).text == "read"

    run_scene(scene)


@pytest.mark.parametrize(("path", "pool"), [(PATH, "large"), (UPLOAD_PATH, "uploads")])
def test_a_body_must_arrive_in_time(limits, path, pool):
    limits(pool, timeout_s=0.3)

    async def scene(_reader: Reader, send: Send) -> None:
        slow = functools.partial(send, chunked=True, kind=KINDS[path], path=path)
        assert (await slow(json_of(3 * CHUNK), pause_s=0.02)).text == "read"
        reply = await slow(json_of(9 * CHUNK), pause_s=0.06)
        assert reply.status_code == 408
        assert "The request arrives too slowly." in reply.text

    run_scene(scene)


@pytest.mark.parametrize("path", [PATH, UPLOAD_PATH])
def test_a_body_that_stalls_is_refused_however_fast_it_was(monkeypatch, path):
    monkeypatch.setattr(module, "IDLE_TIMEOUT_S", 0.1)

    async def scene(_reader: Reader, send: Send) -> None:
        slow = functools.partial(send, chunked=True, kind=KINDS[path], path=path)
        assert (await slow(json_of(3 * CHUNK), pause_s=0.05)).text == "read"
        assert (await slow(json_of(3 * CHUNK), pause_s=0.3)).status_code == 408

    run_scene(scene)


def test_a_late_answer_does_not_make_the_request_slow(monkeypatch, limits):
    limits("small", timeout_s=0.1)
    monkeypatch.setattr(module, "IDLE_TIMEOUT_S", 0.1)

    async def scene(reader: Reader, send: Send) -> None:
        request = asyncio.create_task(send(json_of(CHUNK)))
        await asyncio.sleep(0.3)
        reader.may_answer.set()
        assert (await request).text == "read"

    run_scene(scene, may_answer=False)


@pytest.mark.parametrize(
    ("path", "pool", "other"), [(PATH, "small", UPLOAD_PATH), (UPLOAD_PATH, "uploads", PATH)]
)
def test_all_requests_together_are_limited_until_they_are_answered(limits, path, pool, other):
    limits(pool, max_bytes=2 * MAX_BODY_BYTES)

    async def scene(reader: Reader, send: Send) -> None:
        post = functools.partial(send, kind=KINDS[path], path=path)
        held = [asyncio.create_task(post(json_of(MAX_BODY_BYTES))) for _ in range(2)]
        while len(reader.read) < 2:
            await asyncio.sleep(0.01)
        reply = await post(json_of(CHUNK))
        assert reply.status_code == 503
        assert "Try again" in reply.text
        of_other_kind = asyncio.create_task(send(json_of(CHUNK), kind=KINDS[other], path=other))
        await asyncio.sleep(0.01)
        reader.may_answer.set()
        assert [(await one).text for one in (*held, of_other_kind)] == ["read"] * 3
        assert (await post(json_of(MAX_BODY_BYTES))).text == "read"

    run_scene(scene, may_answer=False)


def test_refused_requests_hold_no_memory(limits):
    limits("small", max_bytes=2 * MAX_BODY_BYTES)

    async def scene(_reader: Reader, send: Send) -> None:
        for _ in range(5):
            assert (await send(MAX_BODY_BYTES * b"[")).status_code == 400
            assert (await send(json_of(MAX_BODY_BYTES), kind=FORM)).status_code == 415
        assert (await send(json_of(MAX_BODY_BYTES))).text == "read"

    run_scene(scene)


def test_large_requests_that_stall_do_not_block_small_ones(monkeypatch, limits):
    monkeypatch.setattr(module, "MAX_SMALL_BYTES", 2 * CHUNK)
    limits("large", max_bytes=8 * CHUNK)

    async def scene(_reader: Reader, send: Send) -> None:
        stalled = asyncio.create_task(send(json_of(10 * CHUNK), True, pause_s=0.05))
        large = asyncio.create_task(send(json_of(7 * CHUNK), True, pause_s=0.05))
        await asyncio.sleep(0.1)
        assert [(await send(json_of(2 * CHUNK))).text for _ in range(3)] == ["read"] * 3
        assert 503 in {(await stalled).status_code, (await large).status_code}

    run_scene(scene)


def test_a_get_request_is_answered_without_reading_its_body():
    async def get() -> tuple[httpx.Response, list[int]]:
        reader = Reader()
        reader.may_answer.set()
        transport = httpx.ASGITransport(reader.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            content = (10 * MAX_BODY_BYTES) * b"["
            return await client.request("GET", PATH, content=content), reader.read

    reply, read = run_async(get())
    assert (reply.status_code, read) == (200, [0])


@pytest.mark.parametrize(("path", "is_cancelled"), [(PATH, True), (QUEUED_PATH, False)])
def test_a_server_function_ends_when_its_client_has_gone(path: str, is_cancelled: bool):
    async def run() -> bool:
        began, gone, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        body = [{"type": "http.request", "body": b"{}", "more_body": False}]
        outcome = []

        async def receive() -> Message:
            if body:
                return body.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def app(_scope: Scope, receive: Receive, _send: AsgiSend) -> None:
            await receive()
            began.set()
            try:
                await asyncio.wait_for(done.wait(), 10)
                outcome.append("done")
            except asyncio.CancelledError:
                outcome.append("cancelled")
                raise

        async def send(message: Message) -> None:
            raise AssertionError(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"content-type", b"application/json")],
        }
        request = asyncio.create_task(RequestLimits(app, MAX_BODY_BYTES)(scope, receive, send))
        await asyncio.wait_for(began.wait(), 10)
        gone.set()
        await asyncio.sleep(0.05)
        done.set()
        await asyncio.wait_for(request, 10)
        return outcome == ["cancelled"]

    assert run_async(run()) is is_cancelled
