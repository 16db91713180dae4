"""How much the web server reads of a request, how slowly, and how much of all of them at once."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from mobilesam.settings import MEGA

MAX_QUEUED_BYTES = 8 * MEGA
"""Of a request that Gradio keeps in memory until its turn comes."""
MAX_JSON_BYTES = 256 * MEGA
"""Of all requests that are being read or answered, but for uploads."""
MAX_UPLOAD_BYTES = 1000 * MEGA
"""Of all uploads on their way; their files go to the disk, but fields of a form stay in memory."""
MAX_LISTS = 500_000
"""In the JSON of one request; ten million, which 30 MB can hold, would take ten seconds to read."""
MAX_PARTS = 8
"""Of an upload; each becomes a file. The page sends one."""
MAX_SESSION_CHARACTERS = 64
"""Of the name that a page gives its session: Gradio keeps thousands of them. The page's has 11."""
PATIENCE_S = 30.0
"""Afterwards a request must have arrived at some speed on average."""
SLOWEST_JSON_BYTES_S, SLOWEST_UPLOAD_BYTES_S = 100_000, 20_000
IDLE_S = 10.0
"""Without a single byte."""

_TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")
_TOO_SLOW = (HTTPStatus.REQUEST_TIMEOUT, "The request arrives too slowly.")
_TOO_MUCH = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Very many visitors are here just now; try again in a moment.",
)
_NO_JSON = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The request must be JSON.")
_BAD_SESSION = (HTTPStatus.BAD_REQUEST, "The name of the session is too long.")
_UPLOAD = re.compile(r"/gradio_api/upload/?")
_QUEUED = re.compile(r"/gradio_api/(queue/join|call/.*)", re.DOTALL)
_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)


class Bodies:
    """The bodies of all requests to one application, within bounds.

    Gradio would read any number of bytes into memory, and wait for them for ever. Here an upload is
    bounded while it is read, and anything else is read whole and looked at first: so who is refused
    gets the reason, and not what an application makes of half a body.
    """

    def __init__(self, max_bytes: int) -> None:
        """Holds none yet.

        Args:
            max_bytes: of one request.
        """
        self._max_bytes = max_bytes
        self._json, self._uploads = _Pool(), _Pool()

    @asynccontextmanager
    async def bounded(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """Inside, the body can be read; afterwards it is not held any longer.

        Args:
            scope: of the request.
            receive: what reads its body.

        Raises:
            HTTPException: it is refused. What is yielded raises one too, where an upload turns out
                to be too large or too slow, or too much is on its way.
        """
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):  # nobody reads the body of these
            yield receive
            return
        headers = Headers(scope=scope)
        kind = headers.get("content-type", "")
        most = MAX_QUEUED_BYTES if _QUEUED.fullmatch(scope["path"]) else self._max_bytes
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise HTTPException(*_TOO_LARGE)
        if _UPLOAD.fullmatch(scope["path"]):
            boundary = _BOUNDARY.search(kind)
            upload = _Arriving(self._uploads, MAX_UPLOAD_BYTES, most, SLOWEST_UPLOAD_BYTES_S)
            upload.delimiter = b"--" + boundary[1].encode("latin-1") if boundary else b""
            try:
                yield lambda: upload.next(receive)
            finally:
                upload.end()
        elif kind.lower().startswith("multipart/"):
            raise HTTPException(*_NO_JSON)
        else:
            arriving = _Arriving(self._json, MAX_JSON_BYTES, most, SLOWEST_JSON_BYTES_S)
            try:
                yield await _whole(arriving, receive)
            finally:
                arriving.end()


class _Pool:
    """What is held of all bodies of a kind."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.arriving: set[_Arriving] = set()


class _Arriving:
    """A body that is being read.

    Attributes:
        pieces: of one that is to be whole.
        delimiter: between the parts of an upload; empty for anything else.
    """

    delimiter = b""

    def __init__(self, pool: _Pool, pool_most: int, most: int, slowest_bytes_s: float) -> None:
        self._pool, self._pool_most, self._most = pool, pool_most, most
        self._slowest_bytes_s = slowest_bytes_s
        self._waited_s = 0.0
        self._read_bytes = self._held_bytes = self._lists = self._parts = 0
        self._tail = b""
        self._is_refused = False
        self.pieces: list[bytes] = []
        pool.arriving.add(self)

    async def next(self, receive: Receive) -> Message:
        """The next message, once it has come; its bytes are held from now on."""
        if self not in self._pool.arriving and not self._is_refused:
            return await receive()  # that the visitor has gone, whenever that is
        began = time.monotonic()
        patience_s = PATIENCE_S + self._read_bytes / self._slowest_bytes_s - self._waited_s
        try:
            message = await asyncio.wait_for(receive(), min(patience_s, IDLE_S))
        except TimeoutError:
            raise HTTPException(*_TOO_SLOW) from None
        self._waited_s += time.monotonic() - began
        self._take_in(message.get("body", b""))
        if not message.get("more_body"):
            self._pool.arriving.discard(self)
        return message

    def _take_in(self, piece: bytes) -> None:
        self._read_bytes += len(piece)
        self._lists += piece.count(b"[") + piece.count(b"{") if not self.delimiter else 0
        if self.delimiter:
            seen = self._tail + piece
            self._parts += seen.count(self.delimiter)
            self._tail = seen[len(seen) - len(self.delimiter) + 1 :]
        # The last part has a delimiter after it too.
        if self._read_bytes > self._most or self._lists > MAX_LISTS or self._parts > MAX_PARTS + 1:
            raise HTTPException(*_TOO_LARGE)
        self._held_bytes += len(piece)
        self._pool.held_bytes += len(piece)
        # The largest that is not whole goes first: a click is small, and stays.
        while self._pool.held_bytes > self._pool_most and not self._is_refused:
            max(self._pool.arriving | {self}, key=lambda one: one._held_bytes).refuse()
        if self._is_refused:
            raise HTTPException(*_TOO_MUCH)

    def refuse(self) -> None:
        """It is to be read no further; whoever waits for the next piece of it learns so then."""
        self._is_refused = True
        self.pieces.clear()
        self.end()

    def end(self) -> None:
        """It is not held any longer."""
        self._pool.arriving.discard(self)
        self._pool.held_bytes -= self._held_bytes
        self._held_bytes = 0


async def _whole(arriving: _Arriving, receive: Receive) -> Receive:
    """Reads a body of JSON to its end and looks at it; what hands it on."""
    more = True
    while more:
        message = await arriving.next(receive)
        arriving.pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(arriving.pieces)
    arriving.pieces.clear()
    _check_session(body)
    ready: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hand_on() -> Message:
        return ready.pop() if ready else await receive()

    return hand_on


def _check_session(body: bytes) -> None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return  # the application says what is wrong with it
    session = said.get("session_hash") if isinstance(said, dict) else None
    if isinstance(session, str) and len(session) > MAX_SESSION_CHARACTERS:
        raise HTTPException(*_BAD_SESSION)
