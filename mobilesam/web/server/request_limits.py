"""Limits on request bodies: their size, the time they take, and the memory of all together."""

import asyncio
import json
import re
from collections.abc import Awaitable
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mobilesam.settings import MEGA

MAX_QUEUED_BYTES = 8 * MEGA  # of a request that Gradio keeps in memory until its turn comes
MAX_SMALL_BYTES = 64_000  # larger requests cannot block smaller ones by stalling
MAX_PARSED = 600_000  # lists, objects and strings of JSON; three million keys take ten seconds
MAX_VALUES = 4_000_000  # a COCO file of 20 MB, which the page sends as text, has fewer of both
MAX_PARTS = 8  # of an upload; each becomes a file, and the page sends one
MAX_SESSION_CHARACTERS = 64  # of its name, of which Gradio keeps many; the page's have 11
IDLE_TIMEOUT_S = 10.0  # without a single byte

_QUEUED = re.compile(r"/gradio_api/(queue/join|call/.*)", re.DOTALL)
_SMALL_PATH = "/decoder/embedding"  # its body is a token
_SERVER_FUNCTIONS = "/gradio_api/component_server"


def route_path(scope: Scope) -> str:
    """The path of a request without the root path, which some reverse proxies keep."""
    path: str = scope["path"]
    route = path.removeprefix(scope.get("root_path", ""))
    return route if route[:1] in ("", "/") else path


@dataclass
class _Pool:
    """All bodies of one kind that are being read or answered."""

    max_bytes: int
    timeout_s: float
    held_bytes: int = 0


class RequestLimits:
    """ASGI middleware that reads JSON bodies itself, and limits uploads while Gradio reads them.

    Gradio would read any number of bytes into memory and wait for them forever.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self.small = _Pool(max_bytes=64 * MEGA, timeout_s=30)
        self.large = _Pool(max_bytes=256 * MEGA, timeout_s=120)
        self.uploads = _Pool(max_bytes=1000 * MEGA, timeout_s=900)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one HTTP request."""
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):  # the application ignores their bodies
            await self._app(scope, receive, send)
            return
        max_bytes = self._max_bytes(route_path(scope))
        await RequestBodyLimitMiddleware(self._limited, max_bytes)(scope, receive, send)

    def _max_bytes(self, path: str) -> int:
        if path == _SMALL_PATH:
            return MAX_SMALL_BYTES
        return MAX_QUEUED_BYTES if _QUEUED.fullmatch(path) else self._max_body_bytes

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        kind, options = parse_options_header(headers.get("content-type", ""))
        is_upload = route_path(scope).removesuffix("/") == "/gradio_api/upload"
        length = headers.get("content-length", "")
        is_small = length.isdecimal() and int(length) <= MAX_SMALL_BYTES
        pool = self.uploads if is_upload else self.small if is_small else self.large
        body = _Body(receive, pool, options.get(b"boundary", b"") if is_upload else b"")
        try:
            if is_upload:
                receive = body.receive
                scope["query_string"] = b""  # Gradio would keep an upload_id of any length
            elif kind.startswith(b"multipart/"):
                raise HTTPException(415, "The request must be JSON.")
            else:
                receive = await body.read_json()
            if route_path(scope).removesuffix("/") == _SERVER_FUNCTIONS:
                await _while_connected(self._app(scope, receive, send), body.receive)
            else:
                await self._app(scope, receive, send)
        except HTTPException as error:  # raised here; the application handles its own
            await PlainTextResponse(error.detail, error.status_code)(scope, receive, send)
        finally:
            pool.held_bytes -= body.held_bytes


class _Body:
    """One body, received within the limits of its pool."""

    def __init__(self, receive: Receive, pool: _Pool, boundary: bytes) -> None:
        self.held_bytes = 0
        self._receive = receive
        self._pool = pool
        self._delimiter = boundary and b"--" + boundary
        self._deadline = asyncio.get_running_loop().time() + pool.timeout_s
        self._is_complete = False
        self._parts = 0
        self._tail = b""

    async def read_json(self) -> Receive:
        """Reads and checks the whole body; returns what hands it on."""
        content = bytearray()
        while not self._is_complete:
            content += (await self.receive()).get("body", b"")
        _check_json(bytes(content))
        messages = iter([{"type": "http.request", "body": bytes(content), "more_body": False}])

        async def replay() -> Message:
            return next(messages, None) or await self._receive()

        return replay

    async def receive(self) -> Message:
        """The next message; after the last one, that the client has disconnected."""
        if self._is_complete:
            return await self._receive()
        idle_until = asyncio.get_running_loop().time() + IDLE_TIMEOUT_S
        try:
            async with asyncio.timeout_at(min(idle_until, self._deadline)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "The request arrives too slowly.") from None
        self._is_complete = not message.get("more_body")
        data = message.get("body", b"")
        self.held_bytes += len(data)
        self._pool.held_bytes += len(data)
        if self._pool.held_bytes > self._pool.max_bytes:
            raise HTTPException(503, "The server is busy. Try again shortly.")
        if self._delimiter:
            self._count_parts(data)
        return message

    def _count_parts(self, data: bytes) -> None:
        data = self._tail + data
        self._parts += data.count(self._delimiter)
        self._tail = data[1 - len(self._delimiter) :]  # may begin a delimiter
        if self._parts > MAX_PARTS + 1:  # the last part is followed by one, too
            raise HTTPException(413, "The upload has too many parts.")


async def _while_connected(work: Awaitable[None], receive: Receive) -> None:
    """Handles a request whose body has been read, and cancels it when its client has gone.

    What waits in a queue then leaves it, so that others do not wait for answers that nobody reads.
    """
    handling, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({handling, gone}, return_when=asyncio.FIRST_COMPLETED)
        if handling.done():
            handling.result()  # raises its error
    finally:
        gone.cancel()
        handling.cancel()
        await asyncio.wait({handling})


def _check_json(content: bytes) -> None:
    parsed = content.count(b"[") + content.count(b"{") + content.count(b'"') // 2
    if parsed > MAX_PARSED or content.count(b",") > MAX_VALUES:
        raise HTTPException(413, "The request is too large.")
    try:
        data = json.loads(content or b"null")
    except (ValueError, RecursionError):
        raise HTTPException(400, "The request is not valid JSON.") from None
    session = data.get("session_hash") if isinstance(data, dict) else None
    if isinstance(session, str) and len(session) > MAX_SESSION_CHARACTERS:
        raise HTTPException(400, "The session's name is too long.")
