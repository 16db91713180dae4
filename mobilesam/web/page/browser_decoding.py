"""What a page needs to decode masks itself: the decoder's weights, and embeddings of photos."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import functools
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

import mobilesam
from mobilesam.errors import MobileSamError
from mobilesam.web.server.queues import WorkQueue
from mobilesam.web.server.replies import BusyError, answered, refusal
from mobilesam.web.server.request_log import queued_at
from mobilesam.web.server.timed_response import TimedResponse

MAX_READERS = 16  # of embeddings at a time, two megabytes each
MAX_WAITING = 32  # for one of them to end
WAIT_S = 10.0  # of each of these
_WEIGHTS_PATH, _EMBEDDING_PATH = "decoder/weights", "decoder/embedding"
_BUSY = "The server is busy. Try again shortly."


@dataclass(frozen=True)
class _Weights:
    """The weights as the browser's decoder reads them, and their SHA-256."""

    content: bytes
    digest: bytes

    @classmethod
    def of(cls, segmenter: mobilesam.Segmenter) -> Self:
        """Those of the loaded model; empty where float16 cannot hold them."""
        from mobilesam.browser_decoder import decoder_weights  # imports torch

        content = b""
        with suppress(MobileSamError):
            content = decoder_weights(segmenter.backend)
        return cls(content, hashlib.sha256(content).digest())

    @property
    def path(self) -> str:
        """An address that never has other content: that depends on checkpoint and format."""
        return f"{_WEIGHTS_PATH}/{self.digest.hex()}"

    @property
    def integrity(self) -> str:
        """The digest as `fetch` of the browser checks it."""
        return f"sha256-{base64.b64encode(self.digest).decode('ascii')}"


class DecoderOffer:
    """Tells pages where the decoder's weights and the embeddings are, and serves the weights."""

    def __init__(self, model: Future[mobilesam.Segmenter]) -> None:
        """The model may still be loading."""
        self._model = model
        self._weights: _Weights | None = None

    def describe(self, embedding: mobilesam.ImageEmbedding) -> dict[str, Any] | None:
        """For the reply that opens a photo; None if the setting is off, or float16 is too narrow.

        The first call converts the weights. Only one thread may call it: that of the photos' queue.
        """
        segmenter = self._model.result()
        if not segmenter.settings.preview:
            return None
        if self._weights is None:
            self._weights = _Weights.of(segmenter)
        if not self._weights.content:
            return None
        return {
            "weights": {
                "path": self._weights.path,
                "bytes": len(self._weights.content),
                "integrity": self._weights.integrity,
            },
            "embedding": {"path": _EMBEDDING_PATH, "bytes": 2 * embedding.codes.numel()},
            "input_size": list(embedding.input_size),
            "confidence_weight": segmenter.backend.confidence_weight,
        }

    async def weights(self, request: Request) -> Response:
        """The weights as float16; 404 for those of another model."""
        weights = self._weights
        if weights is None or request.path_params["digest"] != weights.digest.hex():
            return PlainTextResponse("Not found", status_code=404)
        return _binary(weights.content, "public, max-age=31536000, immutable")


class EmbeddingEndpoint:
    """ASGI application that sends the embedding of an open photo, whose token is in the body."""

    def __init__(
        self, queue: WorkQueue, embedding_of: Callable[[object], mobilesam.ImageEmbedding]
    ) -> None:
        """`embedding_of` gets any JSON value for the token, and may raise ExpiredError."""
        self._queue = queue
        self._embedding_of = embedding_of
        self._readers = asyncio.Semaphore(MAX_READERS)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers {"token": ...} with (64 * 64, 256) float16, or with a sentence as JSON."""
        request = Request(scope, receive)
        body = await request.body()
        queued_at.set(time.perf_counter())
        # `run` of the queue sets the time anew, but the wait for another reader counts as well.
        context = contextvars.copy_context()
        try:
            async with self._reader():
                if not await request.is_disconnected():
                    work = functools.partial(context.run, self._answer, body)
                    response = await self._queue.run(work)
                    await response(scope, receive, send)
        except BusyError as error:
            response = JSONResponse(refusal("embedding", {}, error), 503)
            await response(scope, receive, send)

    def _answer(self, body: bytes) -> Response:
        query = json.loads(body or b"null")
        reply = answered("embedding", query, lambda: {"content": self._content(query)})
        if reply["ok"]:
            return _binary(reply["content"], "no-store")
        return JSONResponse(reply, 404 if reply.get("expired") else 400)

    def _content(self, query: Mapping[str, Any]) -> bytes:
        from mobilesam.browser_decoder import embedding_bytes  # imports torch

        return embedding_bytes(self._embedding_of(query.get("token")))

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[None]:
        """Waits until fewer clients read, so that few embeddings are in memory at a time."""
        if self._waiting >= MAX_WAITING:
            raise BusyError(_BUSY)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._readers.acquire()
        except TimeoutError:
            raise BusyError(_BUSY) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._readers.release()


def decoding_routes(offer: DecoderOffer, endpoint: EmbeddingEndpoint) -> list[BaseRoute]:
    """`GET decoder/weights/<digest>` and `POST decoder/embedding`."""
    return [
        Route(f"/{_WEIGHTS_PATH}/{{digest}}", offer.weights),
        Route(f"/{_EMBEDDING_PATH}", endpoint, methods=["POST"]),
    ]


def _binary(content: bytes, cache_control: str) -> TimedResponse:
    headers = {"Cache-Control": cache_control}
    return TimedResponse(content, headers=headers, media_type="application/octet-stream")
