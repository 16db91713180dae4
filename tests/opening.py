"""Opens photos as the page does, without a page."""

from __future__ import annotations

import secrets
import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import gradio as gr

from mobilesam import Segmenter
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.storage import upload_folder
from tests.event_loop import run_async


def new_handlers(segmenter: Segmenter | None, files: Path) -> PageHandlers:
    """Handlers for a segmenter; None: the model is loading and stays so."""
    model: Future[Segmenter] = Future()
    if segmenter is not None:
        model.set_result(segmenter)
    return PageHandlers(model, files, WorkQueues())


def upload(path: Path | str) -> str:
    """The path of an upload of a file, stored as Gradio stores it."""
    folder = upload_folder() / secrets.token_hex(8)
    folder.mkdir(parents=True)
    return str(shutil.copy(path, folder))


async def close_tab(handlers: PageHandlers, session: str) -> None:
    """Closes a tab, as Gradio tells it."""
    await handlers.unload(gr.Request(session_hash=session))


async def start(
    handlers: PageHandlers, path: Path | str, session: str = "one", name: str = "disc.png"
) -> dict[str, Any]:
    """The first reply for a file, which is uploaded first."""
    return await handlers.opening.open({"path": upload(path), "name": name}, session)


async def ask(handlers: PageHandlers, reply: dict[str, Any]) -> dict[str, Any]:
    """The next reply for a photo."""
    return await handlers.opening.open({"token": reply["token"]}, "any session")


async def poll(handlers: PageHandlers, reply: dict[str, Any]) -> dict[str, Any]:
    """The last reply for a photo, polled as long as that is not done."""
    while reply["ok"] and reply["state"] != "done":
        reply = await ask(handlers, reply)
    return reply


def opened(
    handlers: PageHandlers, path: Path | str, session: str = "one", name: str = "disc.png"
) -> dict[str, Any]:
    """The last reply for a file."""

    async def open_file() -> dict[str, Any]:
        return await poll(handlers, await start(handlers, path, session, name))

    return run_async(open_file())
