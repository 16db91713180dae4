"""Opens photos as the page does, without a page."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from mobilesam import Segmenter
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server.queues import WorkQueues

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, in an event loop in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def new_handlers(segmenter: Segmenter | None, files: Path) -> PageHandlers:
    """Handlers for a segmenter; None: the model is loading and stays so."""
    model: Future[Segmenter] = Future()
    if segmenter is not None:
        model.set_result(segmenter)
    return PageHandlers(model, files, WorkQueues())


async def poll(handlers: PageHandlers, reply: dict[str, Any]) -> dict[str, Any]:
    """The last reply for a photo, polled as long as that is not done."""
    while reply["ok"] and reply["state"] != "done":
        reply = await handlers.open({"seq": 1, "token": reply["token"]})
    return reply


def opened(
    handlers: PageHandlers, path: Path | str, session: str = "one", name: str = "disc.png"
) -> dict[str, Any]:
    """The last reply for an upload."""

    async def open_upload() -> dict[str, Any]:
        query = {"seq": 1, "path": str(path), "name": name, "session": session}
        return await poll(handlers, await handlers.open(query))

    return run(open_upload())
