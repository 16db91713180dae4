"""Who waits for whom: the order of asking, one too many, and clicks beside slow work."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from mobilesam import Segmenter
from mobilesam.runtime import run_in_new_thread
from mobilesam.settings import ImageLimits
from mobilesam.web.api import endpoints as api
from mobilesam.web.blocks import build_demo
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server import request_log as log
from mobilesam.web.server.queues import PROMISE_S, WorkQueue
from mobilesam.web.server.replies import BusyError, answering

GRADIOS_THREADS = 40
SENTENCE = "Come back in a moment."

T = TypeVar("T")


class Slow:
    """Answers in the order of asking, each query when it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun: list[int] = []

    @answering
    def segment(self, query: dict) -> dict:
        self.begun.append(query["seq"])
        return {"in_time": self.let_go.wait(30)}


@pytest.fixture
def slow() -> Slow:
    return Slow()


def played(scene: Callable[[], Awaitable[T]]) -> T:
    """In a thread of its own: Gradio would leave an event loop behind in this one."""
    return run_in_new_thread(lambda: asyncio.run(scene()))


async def asked(call: Callable[[dict], Awaitable[dict]], numbers: range) -> list[asyncio.Task]:
    """The questions, once all of them have been asked."""
    tasks = [asyncio.create_task(call({"seq": number})) for number in numbers]
    for _ in range(10):
        await asyncio.sleep(0.01)
    return tasks


@pytest.mark.parametrize("threads", [1, 2])
def test_all_are_answered_in_the_order_of_asking_so_many_at_once(slow, threads):
    async def scene() -> tuple[list[int], list[dict]]:
        call = WorkQueue(threads, 10, SENTENCE).serving(slow.segment)
        tasks = await asked(call, range(8))
        begun = list(slow.begun)
        slow.let_go.set()
        return begun, await asyncio.gather(*tasks)

    begun, replies = played(scene)
    assert sorted(begun) == list(range(threads))  # two threads begin side by side
    assert [reply["seq"] for reply in replies] == list(range(8))
    assert all(reply["in_time"] for reply in replies)
    if threads == 1:
        assert slow.begun == list(range(8))


def test_one_more_than_can_wait_is_told_at_once_and_there_is_room_again_afterwards(slow):
    async def scene() -> list[dict]:
        queue = WorkQueue(1, 2, SENTENCE)
        call = queue.serving(slow.segment)
        tasks = await asked(call, range(2))
        with_room = queue.line({"seq": 70})
        refused = [queue.line({"seq": 71})]
        queue.keep_promise()
        tasks += await asked(call, range(2, 3))
        refused.append(await call({"seq": 72}))
        slow.let_go.set()
        await asyncio.gather(*tasks)
        return [with_room, *refused, await call({"seq": 73})]

    with_room, told, refused, late = played(scene)
    assert with_room == {"ok": True, "seq": 70, "before": 2}
    assert told == {"ok": False, "seq": 71, "error": SENTENCE}
    assert refused == {"ok": False, "seq": 72, "error": SENTENCE}
    assert late["ok"]


def test_a_promise_holds_for_a_while(slow, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("mobilesam.web.server.queues.time.monotonic", lambda: now[0])

    async def scene() -> list[bool]:
        queue = WorkQueue(1, 2, SENTENCE)
        told = [queue.line({})["ok"] for _ in range(3)]
        now[0] += PROMISE_S
        told.append(queue.line({})["ok"])
        now[0] += 1
        told += [queue.line({})["ok"] for _ in range(3)]
        queue.keep_promise()
        told.append(queue.line({})["ok"])
        return told

    assert played(scene) == [True, True, False, False, True, True, False, True]


def test_a_program_that_finds_a_lane_full_gets_the_sentence(slow):
    def segment() -> str:
        return "answered"

    async def scene() -> str:
        queue = WorkQueue(1, 1, SENTENCE)
        tasks = await asked(queue.serving(slow.segment), range(2))
        handle = api._in_lane(segment, queue)
        with pytest.raises(gr.Error) as raised:
            await handle()
        assert raised.value.message == SENTENCE
        slow.let_go.set()
        await asyncio.gather(*tasks)
        return await handle()

    assert played(scene) == "answered"


def test_what_needs_no_thread_takes_its_turn_too():
    async def scene() -> list[str]:
        queue, told, let_go = WorkQueue(1, 1, SENTENCE), [], asyncio.Event()

        async def fetch(name: str) -> None:
            try:
                async with queue.turn():
                    told.append(name)
                    await let_go.wait()
            except BusyError as error:
                told.append(str(error))

        tasks = [asyncio.create_task(fetch(name)) for name in "abc"]
        await asyncio.sleep(0.05)
        let_go.set()
        await asyncio.gather(*tasks)
        return told

    told = played(scene)
    assert sorted(told) == [SENTENCE, "a", "b"]
    assert told.index("a") < told.index("b")


def test_the_log_tells_the_time_in_a_lane_as_waiting(slow, caplog):
    caplog.set_level(logging.INFO, logger=log.__name__)

    async def scene() -> None:
        call = WorkQueue(1, 10, SENTENCE).serving(slow.segment)
        tasks = await asked(call, range(2))
        await asyncio.sleep(0.2)
        slow.let_go.set()
        await asyncio.gather(*tasks)

    played(scene)
    waits = [int(re.findall(r"wait_ms=(\d+)", line)[0]) for line in caplog.messages]
    works = [int(re.findall(r"work_ms=(\d+)", line)[0]) for line in caplog.messages]
    assert waits[0] < 150 < works[0]
    assert works[1] < 150 < waits[1]


@pytest.fixture
def _slow_previews(monkeypatch, tmp_path, slow) -> None:
    """Previews take until they are let go; a click is answered at once."""

    def segment(self: PageHandlers, query: dict) -> dict:
        return {"ok": True, "seq": query["seq"]}

    monkeypatch.setattr(PageHandlers, "preview", lambda _, query: slow.segment(query))
    monkeypatch.setattr(PageHandlers.preview, "__name__", "preview")
    monkeypatch.setattr(PageHandlers, "segment", segment)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


@pytest.mark.usefixtures("_slow_previews")
def test_a_click_is_answered_while_slow_work_waits_for_every_thread(tmp_path, slow):
    async def scene() -> tuple[dict, list[dict]]:
        model: Future[Segmenter] = Future()
        demo = build_demo(PageHandlers(model, tmp_path), model, ImageLimits(), tmp_path)
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

            tasks = [asyncio.create_task(ask("preview")) for _ in range(GRADIOS_THREADS + 5)]
            try:
                await asyncio.sleep(0)  # so that they are asked first
                click = await asyncio.wait_for(ask("segment"), 10)
            finally:
                slow.let_go.set()
            return click, await asyncio.gather(*tasks)

    click, replies = played(scene)
    assert click == {"ok": True, "seq": 5}
    in_time = [reply for reply in replies if reply["ok"]]
    assert len(in_time) >= GRADIOS_THREADS * 3 // 4
    assert all("try again" in reply["error"] for reply in replies if not reply["ok"])
