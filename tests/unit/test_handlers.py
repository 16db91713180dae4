"""Server functions of the page: opening photos, the files of a tab, and who may see them."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio import Blocks
from gradio.routes import App
from PIL import Image

from mobilesam.interactions import parse_interactions
from mobilesam.masks import mask_from_coco_rle, mask_to_coco_rle
from mobilesam.web.page import handlers as handlers_module
from mobilesam.web.page import opening as opening_module
from mobilesam.web.page import photo_sessions
from mobilesam.web.page.component import prompt_canvas
from mobilesam.web.server.replies import answering
from tests.event_loop import run_async
from tests.opening import close_tab, new_handlers, opened, upload

CLICK = [{"type": "point", "x": 100, "y": 70, "label": 1}]
BUSY = "Too many photos."


def test_model_info_says_that_the_model_is_loading_and_then_which_it_is(
    segmenter, folder, monkeypatch
):
    monkeypatch.setattr(handlers_module, "_MODEL_INFO_S", 0.05)
    handlers = new_handlers(None, folder)
    (model_info,) = [one for one in handlers.server_functions() if one.__name__ == "model_info"]

    async def scene():
        loading = await model_info({})
        task = asyncio.create_task(model_info({}))
        await asyncio.sleep(0.01)
        handlers._model.set_result(segmenter)
        return loading, await task

    loading, info = run_async(scene())
    assert loading == {"ok": True, "loaded": False}
    assert info["loaded"]
    assert info["device"] == "CPU"
    assert info["reason"] == "A stub for the tests."
    assert info["everything"]["points_per_side"] == 16


def test_when_the_last_tab_has_been_closed_free_memory_is_released(handlers, photo, monkeypatch):
    counts = []
    monkeypatch.setattr(
        handlers_module, "return_free_memory", lambda: counts.append(len(handlers.photos))
    )
    for session in ("one", "two", "two"):
        opened(handlers, photo, session)
    for session in ("nobody", "one"):
        run_async(close_tab(handlers, session))
    assert counts == []
    run_async(close_tab(handlers, "two"))
    run_async(close_tab(handlers, "two"))
    assert counts == [0]


def test_now_and_then_free_memory_is_released_while_tabs_are_open(
    handlers, draw_disc, folder, monkeypatch
):
    monkeypatch.setattr(opening_module, "_TRIM_EVERY", 3)
    times = []
    monkeypatch.setattr(opening_module, "return_free_memory", lambda: times.append(number))
    path = folder / "disc.png"
    for number in range(1, 8):
        Image.fromarray(draw_disc(number)).save(path)
        assert opened(handlers, path)["ok"]
        assert opened(handlers, path)["cached"]
    assert times == [3, 6]


def test_a_cut_out_is_soft_unless_hard_edges_are_asked_for(handlers, photo):
    query = {"token": opened(handlers, photo)["token"], "interactions": CLICK, "kind": "cutout"}
    mask = np.array(Image.open(handlers.files.export({**query, "kind": "mask"})["path"])) == 255
    levels = {}
    for edges in (None, "soft", "hard"):
        reply = handlers.files.export({**query, "edges": edges})
        alpha = np.array(Image.open(reply["path"]))[..., 3]
        levels[edges] = len(np.unique(alpha))
        x, y = reply["corner"]
        height, width = alpha.shape
        place = np.s_[y : y + height, x : x + width]
        np.testing.assert_array_equal(alpha >= 128, mask[place])
        assert mask[place].sum() == mask.sum()
    assert levels["hard"] == 2
    assert levels[None] == levels["soft"] > 4


def test_the_cut_out_of_objects_shows_all_of_them(handlers, photo):
    token = opened(handlers, photo)["token"]
    rles = [{"size": [120, 180], "counts": counts} for counts in ([0, 600, 21000], [20400, 1200])]
    rles = [mask_to_coco_rle(mask_from_coco_rle(rle, (120, 180))) for rle in rles]
    objects = [{"name": "a", "interactions": [{"type": "mask", "rle": rle}]} for rle in rles]
    query = {"token": token, "kind": "cutout", "edges": "hard", "objects": objects}
    reply = handlers.files.export(query)
    alpha = np.array(Image.open(reply["path"]))[..., 3]
    assert reply["corner"] == [0, 0]
    columns = np.arange(180)
    np.testing.assert_array_equal(alpha == 255, [(columns < 5) | (columns >= 170)] * 120)
    assert not handlers.files.export({**query, "objects": []})["ok"]


def test_closing_a_tab_removes_its_photos_and_files_and_no_others(handlers, photo):
    mine, theirs = opened(handlers, photo, "one"), opened(handlers, photo, "two")
    query = {"interactions": CLICK, "kind": "mask"}
    my_file = handlers.files.export({**query, "token": mine["token"]})
    their_file = handlers.files.export({**query, "token": theirs["token"]})
    run_async(close_tab(handlers, "one"))
    assert not Path(my_file["path"]).exists()
    assert Path(their_file["path"]).exists()
    assert handlers.segment({"token": mine["token"], "interactions": CLICK})["expired"]
    assert handlers.segment({"token": theirs["token"], "interactions": CLICK})["ok"]


def test_the_least_recently_used_photo_is_closed_when_there_are_too_many(
    handlers, photo, monkeypatch
):
    monkeypatch.setattr(photo_sessions, "MAX_OPEN_PHOTOS", 2)
    first, second = ({"token": opened(handlers, photo)["token"]} for _ in range(2))
    assert handlers.preview(first)["ok"]
    opened(handlers, photo)
    assert handlers.preview(first)["ok"]
    assert handlers.preview(second)["expired"]


def test_a_mask_comes_at_display_size_with_thumbnails_of_the_candidates(
    handlers, draw_disc, folder
):
    path = folder / "large.png"
    Image.fromarray(draw_disc(size_hw=(600, 1200))).save(path)
    token = opened(handlers, path)["token"]
    query = {"token": token, "interactions": CLICK}
    largest = [512, 1024]
    for side, size in ((None, largest), (10, [32, 64]), (10**9, largest), ("wide", largest)):
        reply = handlers.segment({**query, "side": side})
        assert reply["rle"]["size"] == size
    assert len(reply["candidates"]) == 3
    assert {tuple(one["rle"]["size"]) for one in reply["candidates"]} == {(48, 96)}
    assert reply["predicted_iou"] == max(one["predicted_iou"] for one in reply["candidates"])
    assert 0 <= reply["coverage"] <= 1


def test_a_mask_and_its_thumbnails_are_cleaned_unless_the_page_says_otherwise(
    handlers, photo, segmenter, disc
):
    query = {"token": opened(handlers, photo)["token"], "interactions": CLICK}
    answer = segmenter.answer(segmenter.encode(disc), parse_interactions(CLICK))
    for given, clean in (({}, True), ({"clean": True}, True), ({"clean": False}, False)):
        reply = handlers.segment({**query, **given})
        shown = [reply["rle"], *(one["rle"] for one in reply["candidates"])]
        expected = [answer.mask(clean=clean)]
        expected += [replace(answer, index=n).mask((64, 96), clean) for n in range(3)]
        assert shown == [mask_to_coco_rle(mask) for mask in expected]
        file = handlers.files.export({**query, **given, "kind": "mask"})
        assert np.array_equal(np.array(Image.open(file["path"])) == 255, expected[0])
    thumbnails = [replace(answer, index=n).mask((64, 96), True) for n in range(3)]
    assert shown[1:] != [mask_to_coco_rle(mask) for mask in thumbnails]
    for answer in (handlers.segment, handlers.files.export):
        refused = answer({**query, "clean": "no", "kind": "mask"})
        assert refused["error"] == "clean must be true or false."


def test_no_click_waits_for_those_on_masks_with_many_interactions(handlers):
    may_finish = threading.Event()

    @answering
    def segment(self, query):
        if len(query["interactions"]) > 16:
            may_finish.wait(30)
        return {}

    handlers.segment = segment.__get__(handlers)

    async def scene():
        (call,) = [one for one in handlers.server_functions() if one.__name__ == "segment"]
        long = [asyncio.create_task(call({"interactions": CLICK * 17})) for _ in range(8)]
        await asyncio.sleep(0.05)
        for count in (1, 16):
            reply = await asyncio.wait_for(call({"interactions": CLICK * count}), 10)
            assert reply["ok"]
        for odd in (None, [], "interactions", 1):
            assert not (await asyncio.wait_for(call(odd), 10))["ok"]
        assert not any(task.done() for task in long)
        may_finish.set()
        assert all(reply["ok"] for reply in await asyncio.gather(*long))

    run_async(scene())


@pytest.mark.slow
def test_the_page_reaches_the_functions_through_gradio_which_tells_the_session(
    segmenter, folder, photo
):
    """Names what Gradio does with gr.Request in server functions, on which `open` relies."""
    handlers = new_handlers(segmenter, folder)

    async def scene():
        demo = Blocks()
        with demo:
            canvas = prompt_canvas(handlers.server_functions())
        transport = httpx.ASGITransport(App.create_app(demo))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:

            async def call(name, query, session="the tab"):
                body = {"component_id": canvas._id, "fn_name": name, "data": query}
                reply = await http.post(
                    "/gradio_api/component_server", json={**body, "session_hash": session}
                )
                assert reply.status_code == 200, reply.text
                return reply.json()

            query = {"path": upload(photo), "name": "a.png", "session": "somebody else's"}
            reply = await call("open", query)
            while reply["state"] != "done":
                reply = await call("open", {"token": reply["token"]})
            info = await call("model_info", {})
            answer = await call("segment", {"token": reply["token"], "interactions": CLICK})
            odd = await call("open", 7)
            begun = await call("dataset", {"format": "yolo", "photos": ["a"]})
            return reply, info, answer, odd, begun

    _, info, answer, odd, begun = run_async(scene())
    assert info["loaded"]
    assert handlers.files.datasets.get(begun["dataset"]).tab == "the tab"
    assert answer["ok"]
    assert not odd["ok"]
    assert json.dumps(answer)
    run_async(close_tab(handlers, "somebody else's"))
    assert len(handlers.photos) == 1
    run_async(close_tab(handlers, "the tab"))
    assert len(handlers.photos) == 0
