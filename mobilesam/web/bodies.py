"""How much the web server reads of a request, how slowly, and how much of all of them at once."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from mobilesam.settings import MEGA

MAX_QUEUED_BYTES = 8 * MEGA
"""Of a request that Gradio keeps in memory until its turn comes."""
MAX_HELD_BYTES = 256 * MEGA
"""Of JSON in all requests that are being read or answered."""
MAX_LISTS = 500_000
"""In the JSON of one request; ten million, which 30 MB can hold, would take ten seconds to read."""
PATIENCE_S = 30.0
SLOWEST_BYTES_S = 20_000
"""Once the patience is over, a request must have arrived at least as fast."""

_TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large.")
_TOO_SLOW = (HTTPStatus.REQUEST_TIMEOUT, "The request arrives too slowly.")
_TOO_MUCH = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Very many visitors are here just now; try again in a moment.",
)
_QUEUED = re.compile(r"/gradio_api/(queue/join|call/.*)", re.DOTALL)


class Bodies:
    """The bodies of all requests to one application, within bounds.

    Gradio would read any number of bytes into memory, and wait for them for ever. Uploads, which
    are multipart, go to its disk; everything else counts as JSON.
    """

    def __init__(self, max_bytes: int) -> None:
        """Holds none yet.

        Args:
            max_bytes: of one request.
        """
        self._max_bytes = max_bytes
        self._held_bytes = 0

    @contextmanager
    def bounded(self, scope: Scope, receive: Receive) -> Iterator[Receive]:
        """Inside, a body can be read within the bounds; afterwards it is not held any longer.

        Args:
            scope: of the request.
            receive: what reads its body.

        Raises:
            HTTPException: it says of itself that it is too large. What is yielded raises one too,
                when the body turns out to be too large or too slow, or too much is held.
        """
        headers = Headers(scope=scope)
        most = MAX_QUEUED_BYTES if _QUEUED.fullmatch(scope["path"]) else self._max_bytes
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise HTTPException(*_TOO_LARGE)
        is_json = not headers.get("content-type", "").startswith("multipart/")
        is_whole, waited_s = False, 0.0
        read_bytes = lists = held_bytes = 0

        async def receive_within_bounds() -> Message:
            nonlocal is_whole, waited_s, read_bytes, lists, held_bytes
            if is_whole:  # then the next message is that the visitor has gone, whenever that is
                return await receive()
            began = time.monotonic()
            patience_s = PATIENCE_S + read_bytes / SLOWEST_BYTES_S - waited_s
            try:
                message = await asyncio.wait_for(receive(), patience_s)
            except asyncio.TimeoutError:
                raise HTTPException(*_TOO_SLOW) from None
            waited_s += time.monotonic() - began
            piece = message.get("body", b"")
            is_whole = not message.get("more_body")
            read_bytes += len(piece)
            if is_json:
                lists += piece.count(b"[") + piece.count(b"{")
                held_bytes += len(piece)
                self._held_bytes += len(piece)
            if read_bytes > most or lists > MAX_LISTS:
                raise HTTPException(*_TOO_LARGE)
            if self._held_bytes > MAX_HELD_BYTES:
                raise HTTPException(*_TOO_MUCH)
            return message

        try:
            yield receive_within_bounds
        finally:
            self._held_bytes -= held_bytes
