"""Slow work for some visitors, and the clicks of others, through Gradio's own routes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import httpx
import pytest
from gradio.routes import App

from mobilesam import Segmenter
from mobilesam.runtime import in_fresh_thread
from mobilesam.settings import ImageLimits
from mobilesam.web.desk import Desk
from mobilesam.web.ui import build_demo

GRADIOS_THREADS = 40


@pytest.fixture
def let_go() -> threading.Event:
    return threading.Event()


@pytest.fixture
def _slow_previews(monkeypatch, tmp_path, let_go) -> None:
    """Previews take until they are let go; a click is answered at once."""

    def preview(self: Desk, query: dict) -> dict:
        return {"ok": let_go.wait(30)}

    def segment(self: Desk, query: dict) -> dict:
        return {"ok": True, "seq": query["seq"]}

    monkeypatch.setattr(Desk, "preview", preview)
    monkeypatch.setattr(Desk, "segment", segment)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


@pytest.mark.usefixtures("_slow_previews")
def test_a_click_is_answered_while_slow_work_waits_in_every_thread(tmp_path, let_go):
    async def scene() -> tuple[dict, list[dict]]:
        model: Future[Segmenter] = Future()
        demo = build_demo(Desk(model, tmp_path), model, ImageLimits(), tmp_path)
        (canvas,) = [one for one in demo.blocks.values() if one.elem_id == "prompt-canvas"]
        transport = httpx.ASGITransport(App.create_app(demo))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

            async def ask(name: str) -> dict:
                body = {
                    "component_id": canvas._id,
                    "fn_name": name,
                    "session_hash": "x",
                    "data": {"seq": 5},
                }
                return (await client.post("gradio_api/component_server", json=body)).json()

            slow = [asyncio.create_task(ask("preview")) for _ in range(GRADIOS_THREADS + 5)]
            try:
                await asyncio.sleep(0)  # so that they are asked first
                click = await asyncio.wait_for(ask("segment"), 10)
            finally:
                let_go.set()
            return click, await asyncio.gather(*slow)

    # In a thread of its own: Gradio would leave an event loop behind in this one.
    click, slow = in_fresh_thread(lambda: asyncio.run(scene()))
    assert click == {"ok": True, "seq": 5}
    assert all(reply["ok"] for reply in slow)
