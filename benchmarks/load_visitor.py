"""A visitor as the server sees one: what the page's scripts send over HTTP, and nothing more."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

OPEN_TIMEOUT_S = 180.0
"""As long as the page waits for a photo."""
ASK_TIMEOUT_S = 60.0


"""The page's own sentence."""


class NoAnswerError(Exception):
    """The server did not answer as the page expects."""


@dataclass(frozen=True)
class PageFacts:
    """What the page's scripts know of Gradio.

    Attributes:
        canvas: number of the prompt canvas.
        photo_event: number of its event `photo`.
    """

    canvas: int
    photo_event: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> PageFacts:
        """Reads Gradio's description of the page."""
        (component,) = (
            one for one in config["components"] if one["props"].get("elem_id") == "prompt-canvas"
        )
        canvas = component["id"]
        (event,) = (
            one["id"] for one in config["dependencies"] if [canvas, "photo"] in one["targets"]
        )
        return cls(canvas, event)


def browser(address: str) -> httpx.AsyncClient:
    """A client for any number of visitors; none waits for another's connection.

    It lets an idle connection go before the server does, after 5 s: a browser would ask again.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=address, limits=limits, timeout=ASK_TIMEOUT_S)


class Tab:
    """A browser tab with the page in it."""

    def __init__(self, client: httpx.AsyncClient, facts: PageFacts) -> None:
        self._client = client
        self._facts = facts
        self._session = uuid.uuid4().hex
        self._is_here = asyncio.Event()
        self._heartbeat = asyncio.create_task(self._stay())

    async def ready(self) -> None:
        """Loads the page's HTML; returns once the server knows the tab."""
        await self._get("")
        here = asyncio.create_task(self._is_here.wait())
        await asyncio.wait({here, self._heartbeat}, return_when=asyncio.FIRST_COMPLETED)
        if not here.done():
            here.cancel()
            raise NoAnswerError("The server ended the tab's heartbeat.")

    async def open(self, name: str, data: bytes) -> dict[str, Any]:
        """Uploads a photo and has it opened: the reply of the handlers."""
        try:
            return await asyncio.wait_for(self._open(name, data), OPEN_TIMEOUT_S)
        except TimeoutError:
            raise NoAnswerError("The page gave up waiting for the photo.") from None

    async def ask(self, function: str, query: dict[str, Any]) -> dict[str, Any]:
        """Calls a server function of the page."""
        body = {
            "component_id": self._facts.canvas,
            "fn_name": function,
            "session_hash": self._session,
            "data": query,
        }
        return await self._post("component_server", json=body)

    async def close(self) -> None:
        """Closes the tab: its connections end, by which the server learns of it."""
        self._heartbeat.cancel()
        await asyncio.gather(self._heartbeat, return_exceptions=True)

    async def _stay(self) -> None:
        path = f"gradio_api/heartbeat/{self._session}"
        async with self._client.stream("GET", path, timeout=None) as stream:
            async for _ in stream.aiter_lines():
                self._is_here.set()

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
        place = await self.ask("line", {})
        if not place["ok"]:
            return place
        uploaded = await self._post("upload", files={"files": (name, data, "image/jpeg")})
        photo = {"path": uploaded[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        body = {
            "data": [{"photo": photo, "ticket": 1}],
            "fn_index": self._facts.photo_event,
            "trigger_id": self._facts.canvas,
            "event_data": {},
            "session_hash": self._session,
        }
        await self._post("queue/join", json=body)
        return await self._opened()

    async def _opened(self) -> dict[str, Any]:
        """The outcome of the event `photo`, from the stream of the tab's messages."""
        path, parameters = "gradio_api/queue/data", {"session_hash": self._session}
        try:
            async with self._client.stream("GET", path, params=parameters, timeout=None) as stream:
                async for line in stream.aiter_lines():
                    message = json.loads(line[5:]) if line.startswith("data:") else {}
                    if message.get("msg") == "process_completed":
                        return _reply_in(message)
        except httpx.HTTPError as error:
            raise NoAnswerError(repr(error)) from error
        raise NoAnswerError("The queue ended without an answer.")


def _check(answer: httpx.Response) -> None:
    if answer.status_code != httpx.codes.OK:
        raise NoAnswerError(f"HTTP {answer.status_code}: {answer.text[:200]}")


def _reply_in(message: dict[str, Any]) -> dict[str, Any]:
    if not message["success"]:
        raise NoAnswerError(str(message["output"]))
    return message["output"]["data"][0]["props"]["opened"]
