"""The Blocks of the page: events that fail, pages that the server does not know, slow work."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Awaitable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.blocks import DemoBlocks, build_demo, launch_options
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server.queues import WorkQueues
from tests.event_loop import run_async

SECRET = "holiday.jpg"
MANY = 45  # Gradio has 40 threads


@pytest.fixture
def handlers(tmp_path, monkeypatch) -> PageHandlers:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return PageHandlers(Future(), tmp_path, WorkQueues())


def canvas_of(demo: gr.Blocks) -> Any:
    (canvas,) = [one for one in demo.blocks.values() if one.elem_id == "prompt-canvas"]
    return canvas


def build(handlers: PageHandlers, folder: Path, limits: ImageLimits | None = None) -> gr.Blocks:
    """A demo; Gradio would leave an event loop behind in a thread that has none."""

    async def run() -> gr.Blocks:
        return build_demo(handlers, Future(), limits or ImageLimits(), WorkQueues(), folder)

    return run_async(run())


def ask(demo: gr.Blocks, *queries: tuple[str, dict]) -> list[httpx.Response]:
    """The responses to server functions that a page of an unknown session calls at once."""

    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(App.create_app(demo))
        canvas = canvas_of(demo)._id
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:

            def post(name: str, query: dict) -> Awaitable[httpx.Response]:
                body = {"component_id": canvas, "fn_name": name, "session_hash": "new"}
                return client.post("gradio_api/component_server", json={**body, "data": query})

            return await asyncio.gather(*(post(*query) for query in queries))

    return run_async(run())


def test_a_server_function_answers_a_session_that_the_server_does_not_know(handlers, tmp_path):
    """As after a restart, or with several processes behind a proxy."""
    names = (
        "open",
        "encode_crop",
        "segment",
        "everything",
        "export",
        "import_annotations",
        "preview",
    )
    queries = [(name, {"token": "of another process"}) for name in names]
    for response in ask(build(handlers, tmp_path), *queries):
        assert response.status_code == 200
        reply = response.json()
        assert (reply["ok"], reply["expired"]) == (False, True)


def test_the_id_of_the_component_is_the_same_in_every_process(handlers, tmp_path):
    """A page may be loaded from one process and ask another one; Gradio counts components."""
    demo = build(handlers, tmp_path)
    assert canvas_of(demo)._id == demo._id + 1


def test_no_other_method_of_the_component_can_be_called(handlers, tmp_path):
    names = ("__init__", "preprocess", "get_config", "unload", "nothing")
    for response in ask(build(handlers, tmp_path), *((name, {}) for name in names)):
        assert response.status_code == 404


@pytest.mark.slow
def test_a_click_is_answered_while_slow_work_waits_for_every_thread(
    handlers, tmp_path, monkeypatch
):
    may_finish, asked = threading.Event(), []
    queue = handlers._queues.full_size
    submit = queue.submit
    monkeypatch.setattr(queue, "submit", lambda work: asked.append(work) or submit(work))

    def preview(self: PageHandlers, query: dict) -> dict:
        return {"ok": True, "in_time": may_finish.wait(30)}

    def segment(self: PageHandlers, query: dict) -> dict:
        while len(asked) < MANY:
            time.sleep(0.01)
        may_finish.set()
        return {"ok": True}

    for method in (preview, segment):
        monkeypatch.setattr(PageHandlers, method.__name__, method)
    queries = [("preview", {})] * MANY + [("segment", {})]
    *previews, click = ask(build(handlers, tmp_path), *queries)
    assert click.json() == {"ok": True}
    replies = [one.json() for one in previews]
    assert sum(reply["ok"] for reply in replies) == 34  # two at once, and 32 wait
    assert all(reply["in_time"] for reply in replies if reply["ok"])
    assert all("Try again" in reply["error"] for reply in replies if not reply["ok"])


def test_the_limits_are_handed_to_the_page(handlers, tmp_path):
    demo = build(handlers, tmp_path, ImageLimits(max_bytes=3 * MEGA, max_pixels=5 * MEGA))
    handed = canvas_of(demo).props["limits"]
    assert (handed["max_mb"], handed["max_megapixels"]) == (3, 5)
    assert handed.keys() == {
        "max_mb", "max_megapixels", "max_points", "max_interactions", "max_path_points",
        "max_radius_px", "max_objects", "max_name", "display_side", "thumbnail_side",
    }  # fmt: skip
    assert all(value > 0 for value in handed.values())
    json.dumps(handed)


def test_opening_a_photo_is_no_event_of_gradio(handlers, tmp_path):
    demo = build(handlers, tmp_path)
    names = [one.api_name for one in demo.fns.values() if one.targets[0][1] != "unload"]
    assert names == ["segment", "everything", "export"]


def test_the_demo_does_not_let_gradio_print_errors(handlers, tmp_path):
    assert isinstance(build(handlers, tmp_path), DemoBlocks)


def run_event(handler: Any, data: list, blocks: type[gr.Blocks] = DemoBlocks) -> httpx.Response:
    """The response to an event of a small application, without Gradio's queue."""

    async def run() -> httpx.Response:
        demo = blocks(analytics_enabled=False)
        with demo:
            gr.Button().click(
                handler, [gr.Image(type="filepath")], gr.JSON(), api_name="run", queue=False
            )
        transport = httpx.ASGITransport(App.create_app(demo))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.post("gradio_api/run/run", json={"data": data})

    return run_async(run())


def fail(_image: object) -> None:
    raise KeyError(SECRET)


BAD_DATA = [[], [SECRET], [{"path": [SECRET]}], [{"path": 1, "url": SECRET}], [1, SECRET]]


@pytest.mark.parametrize("data", [*BAD_DATA, [None]], ids=str)
def test_a_failed_event_replies_with_a_sentence_and_prints_nothing_that_was_sent(
    capfd, caplog, data
):
    """By `Blocks.process_api`, which every event of Gradio's queue passes."""
    response = run_event(fail, data)
    assert response.status_code == 500
    assert response.json()["error"] == "The server does not understand the request."
    (record,) = [one for one in caplog.records if "failed" in one.getMessage()]
    assert record.getMessage().startswith("Event failed: ")
    out, err = capfd.readouterr()
    assert SECRET not in out + err + caplog.text
    assert "Traceback" not in err


def test_without_it_gradio_prints_what_was_sent(capfd):
    """If this fails, DemoBlocks is needed no longer."""
    run_event(fail, [None], gr.Blocks)
    assert SECRET in capfd.readouterr().err


def test_an_error_for_the_client_passes(caplog):
    def refuse(_image: object) -> None:
        raise gr.Error("Send a photo.", print_exception=False)

    assert run_event(refuse, [None]).json()["error"] == "Send a photo."
    assert [one for one in caplog.records if "failed" in one.getMessage()] == []


def test_nothing_is_reported_to_gradio_or_kept_by_it():
    options = launch_options(ImageLimits(max_bytes=50 * MEGA), [], "*")
    assert options["run_history"] is options["enable_monitoring"] is False
    assert options["max_file_size"] == 50 * MEGA
    security, _ = options["app_kwargs"]["middleware"]
    assert security.args == (51 * MEGA, "*")


def test_arguments_that_are_missing_at_the_end_are_null():
    """Programs that were written before an endpoint got a further argument go on working."""
    got = []

    async def call(*calls: list[Any]) -> None:
        demo = DemoBlocks(analytics_enabled=False)
        with demo:
            inputs = [gr.Number(), gr.Number(), gr.JSON()]
            gr.Button().click(lambda *args: got.append(args), inputs, None)
        for values in calls:
            await demo.process_api(demo.fns[0], values)

    run_async(call([1, 2], [1, 2, {"a": 3}]))
    assert got == [(1, 2, None), (1, 2, {"a": 3})]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_an_event_is_kept_for_its_session(fails):
    """Gradio creates a session for every API call and keeps the last 1,000."""

    def echo(value: object) -> object:
        if fails:
            raise gr.Error("No.", print_exception=False)
        return value

    async def run() -> str:
        demo = DemoBlocks(analytics_enabled=False)
        with demo:
            gr.Button().click(echo, [gr.JSON()], gr.JSON(), api_name="run", queue=False)
        app = App.create_app(demo)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            body = {"data": [{"a": SECRET}], "session_hash": "new"}
            response = await client.post("gradio_api/run/run", json=body)
            assert (response.status_code, SECRET in response.text) == (
                (500, False) if fails else (200, True)
            )
        (session,) = app.state_holder.session_data.values()
        return str(session.config_values)

    assert SECRET not in run_async(run())


def test_the_variables_of_a_failed_event_are_forgotten_at_once():
    class Sent:
        """What a client sent."""

    sent = []

    def fail_with_a_cause(_image: object) -> None:
        value = Sent()
        sent.append(weakref.ref(value))
        try:
            raise KeyError(value)
        except KeyError:
            raise gr.Error("No.", print_exception=False) from ValueError("of another function")

    gc.collect()
    gc.disable()
    try:
        assert run_event(fail_with_a_cause, [None]).status_code == 500
        assert sent[0]() is None
    finally:
        gc.enable()
