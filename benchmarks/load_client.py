"""A browser tab as the server sees it: the HTTP requests of the page, without a browser."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx

OPEN_TIMEOUT_S = 180.0
"""As long as the page waits for a photo."""
REQUEST_TIMEOUT_S = 60.0


class NoAnswerError(Exception):
    """The server did not answer as the page expects."""


async def canvas_id(address: str) -> int:
    """The id of the prompt canvas in Gradio's configuration of the page."""
    async with _browser(address) as client:
        components = (await client.get("config")).json()["components"]
    named = {one["props"].get("elem_id"): one["id"] for one in components}
    return named["prompt-canvas"]


def _browser(address: str) -> httpx.AsyncClient:
    """A client that closes an idle connection before the server does, after 5 s.

    A browser would retry.
    """
    return httpx.AsyncClient(
        base_url=address, limits=httpx.Limits(keepalive_expiry=2), timeout=REQUEST_TIMEOUT_S
    )


class Tab:
    """A browser tab with the page.

    Each tab has its own connection pool, like a browser. A shared pool checks all connections on
    every request, which with 200 tabs takes longer than the server needs to answer.
    """

    def __init__(self, address: str, canvas: int) -> None:
        self._client = _browser(address)
        self._canvas = canvas
        self._session = uuid.uuid4().hex
        self._registered = asyncio.Event()
        self._heartbeat = asyncio.create_task(self._keep_alive())

    async def load(self) -> None:
        """Loads the page's HTML."""
        await self._get("")

    async def ready(self) -> None:
        """Loads the page's HTML; returns once the server has registered the tab."""
        await self.load()
        registered = asyncio.create_task(self._registered.wait())
        await asyncio.wait({registered, self._heartbeat}, return_when=asyncio.FIRST_COMPLETED)
        if not registered.done():
            registered.cancel()
            raise NoAnswerError("The server ended the tab's heartbeat.")

    async def open(self, name: str, data: bytes) -> dict[str, Any]:
        """Uploads a photo and opens it; the last reply of `open`."""
        try:
            return await asyncio.wait_for(self._open(name, data), OPEN_TIMEOUT_S)
        except TimeoutError:
            raise NoAnswerError("The page gave up waiting for the photo.") from None

    async def call(self, function: str, query: dict[str, Any]) -> dict[str, Any]:
        """Calls a server function of the page."""
        body = {
            "component_id": self._canvas,
            "fn_name": function,
            "session_hash": self._session,
            "data": query,
        }
        return await self._post("component_server", json=body)

    async def close(self) -> None:
        """Closes the tab: its connections end, which the server notices."""
        self._heartbeat.cancel()
        await asyncio.gather(self._heartbeat, return_exceptions=True)
        await self._client.aclose()

    async def _keep_alive(self) -> None:
        path = f"gradio_api/heartbeat/{self._session}"
        async with self._client.stream("GET", path, timeout=None) as stream:
            async for _ in stream.aiter_lines():
                self._registered.set()

    async def _get(self, path: str) -> httpx.Response:
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError as error:
            raise NoAnswerError(repr(error)) from error
        _check(answer)
        return answer

    async def _post(self, path: str, **body: Any) -> Any:
        try:
            answer = await self._client.post(f"gradio_api/{path}", **body)
        except httpx.HTTPError as error:
            raise NoAnswerError(repr(error)) from error
        _check(answer)
        return answer.json()

    async def _open(self, name: str, data: bytes) -> dict[str, Any]:
        (path,) = await self._post("upload", files={"files": (name, data, "image/jpeg")})
        reply = await self.call("open", {"path": path, "name": name})
        while reply["ok"] and reply["state"] != "done":
            reply = await self.call("open", {"token": reply["token"]})
        return reply


def _check(answer: httpx.Response) -> None:
    if answer.status_code != httpx.codes.OK:
        raise NoAnswerError(f"HTTP {answer.status_code}: {answer.text[:200]}")
