"""Opens photos as the page does, without a page."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mobilesam import Segmenter
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server.queues import WorkQueues
from tests.event_loop import run_async


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

    return run_async(open_upload())
