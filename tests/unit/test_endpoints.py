"""The endpoints without a server: what one request may cost, errors, names of exported files."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import tracemalloc
import zipfile
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.processing_utils import async_move_files_to_cache
from gradio_client.utils import json_schema_to_python_type
from PIL import Image

from mobilesam import ImageLimits, PromptError
from mobilesam.everything_options import EverythingOptions
from mobilesam.web.api import endpoints
from mobilesam.web.server import request_log
from mobilesam.web.server.queues import WorkQueue, WorkQueues
from tests.bad_files import encoded, exif_that_repeats, jpeg_segments, picture
from tests.event_loop import run_async
from tests.stub_options import KEEP_ALL

BUSY = "Come back in a moment."
SECRET = "holiday.jpg"


@pytest.fixture
def photo(disc, folder) -> str:
    path = folder / "disc.png"
    Image.fromarray(disc).save(path)
    return str(path)


@pytest.fixture
def everything(segmenter, photo, monkeypatch):
    """everything(points_per_side): the reply for the disc, four points a batch."""
    monkeypatch.setattr(segmenter, "backend", replace(segmenter.backend, prompts_at_once=4))
    model: Future[object] = Future()
    model.set_result(segmenter)
    api = endpoints.Endpoints(model, ImageLimits())
    return lambda side: api.everything(photo, {**KEEP_ALL, "points_per_side": side})


def clock(step_s):
    times = iter(range(0, 10_000, step_s))
    return SimpleNamespace(monotonic=lambda: next(times))


@pytest.mark.slow
def test_everything_ends_after_its_timeout_with_a_sentence(everything, stub_sam, monkeypatch):
    """The clock advances by 50 s whenever it is read: the third batch ends at 150 s."""
    monkeypatch.setattr(endpoints, "time", clock(50))
    with pytest.raises(PromptError, match=r"longer than 120 s\. Use fewer points per side"):
        everything(4)
    assert stub_sam.mask_decoder.calls == 3  # of four


@pytest.mark.slow
def test_everything_that_ends_in_time_is_answered(everything, stub_sam, monkeypatch):
    monkeypatch.setattr(endpoints, "time", clock(30))
    assert len(everything(4)["masks"]) == 3 * 16
    assert stub_sam.mask_decoder.calls == 4


@pytest.mark.slow
def test_a_reply_that_would_be_too_large_is_refused_with_a_sentence(everything, monkeypatch):
    size_bytes = sum(len(one["rle"]["counts"]) for one in everything(2)["masks"])
    monkeypatch.setattr(endpoints, "_MAX_REPLY_BYTES", size_bytes)
    assert len(everything(2)["masks"]) == 3 * 4
    monkeypatch.setattr(endpoints, "_MAX_REPLY_BYTES", size_bytes - 1)
    with pytest.raises(PromptError, match=r"too many masks for one reply\. Use higher thresholds"):
        everything(2)


def test_a_request_in_a_full_queue_gets_the_sentence():
    async def scene() -> str:
        queue, may_finish = WorkQueue(1, 0, BUSY), threading.Event()
        handle = endpoints.in_queue(lambda: "done", queue)
        running = asyncio.create_task(queue.run(may_finish.wait))
        await asyncio.sleep(0.01)
        with pytest.raises(gr.Error) as refusal:
            await handle()
        may_finish.set()
        await running
        assert await handle() == "done"
        return refusal.value.message

    assert run_async(scene()) == BUSY


def test_a_request_waits_for_the_model_without_a_place_in_the_queue():
    async def scene() -> list[str]:
        model: Future[str] = Future()
        queue = WorkQueue(1, 0, BUSY)
        task = asyncio.create_task(endpoints.in_queue(lambda: model.result(0), queue, model)())
        await asyncio.sleep(0.05)
        meanwhile = await queue.run(lambda: "another")
        model.set_result("loaded")
        return [meanwhile, await task]

    assert run_async(scene()) == ["another", "loaded"]


def test_the_wait_for_the_model_has_an_end(monkeypatch):
    monkeypatch.setattr(endpoints, "MODEL_TIMEOUT_S", 0.05)
    model: Future[str] = Future()
    handle = endpoints.in_queue(lambda: "done", WorkQueue(1, 0, BUSY), model)
    with pytest.raises(gr.Error) as refusal:
        run_async(handle())
    assert "still loading. Try again" in refusal.value.message
    assert not model.cancelled()


def test_an_unexpected_error_gets_a_number_that_is_in_the_log_without_its_message(caplog):
    caplog.set_level(logging.INFO, logger=request_log.__name__)

    def segment() -> None:
        raise RuntimeError(SECRET)

    with pytest.raises(gr.Error) as refusal:
        run_async(endpoints.in_queue(segment, WorkQueue(1, 0, BUSY))())
    number = refusal.value.message.split()[-1].strip(".")
    assert f"id={number}" in caplog.text
    assert "segment" in caplog.text
    assert SECRET not in caplog.text + refusal.value.message
    assert not refusal.value.print_exception


# -- through Gradio's Blocks ------------------------------------------------------------------


@pytest.fixture
def call(segmenter, folder):
    """call(name, *arguments): the data of the reply, after Gradio's own processing."""
    model: Future[object] = Future()
    model.set_result(segmenter)

    def process(name, image, *arguments):
        async def scene():
            demo = gr.Blocks()
            with demo:
                endpoints.add_endpoints(model, ImageLimits(), WorkQueues())
            (function,) = [one for one in demo.fns.values() if one.api_name == name]
            if isinstance(image, str):
                image_json = {"path": image, "meta": {"_type": "gradio.FileData"}}
            else:
                image_json = image
            missing = [None] * (len(function.inputs) - 1 - len(arguments))  # as DemoBlocks does
            reply = await demo.process_api(function, [image_json, *arguments, *missing])
            return reply["data"][0]

        return run_async(scene())

    return process


OBJECT = {"name": "all", "rle": {"size": [120, 180], "counts": [0, 21_600]}}


@pytest.mark.parametrize(
    ("upload", "name", "file", "annotated"),
    [
        ("disc.png", None, "disc-coco.json", "disc.png"),
        ("disc.png", "fig 1.jpg", "fig 1-coco.json", "fig 1.jpg"),
        ("disc.png", "fig", "fig-coco.json", "fig.png"),
        ("blob", None, "photo-coco.json", "photo.png"),
        ("blob", "../../etc/passwd", "passwd-coco.json", "passwd.png"),
    ],
)
def test_an_export_is_called_after_the_photo_which_has_an_extension(
    call, folder, photo, upload, name, file, annotated
):
    path = Path(photo).rename(folder / upload)
    exported = Path(call("export", str(path), [OBJECT], "coco_rle", name, None)["path"])
    assert exported.name == file
    assert json.loads(exported.read_bytes())["images"][0]["file_name"] == annotated
    assert exported.is_relative_to(folder)


def test_cut_outs_have_hard_edges_unless_soft_ones_are_asked_for(call, photo):
    half = {"name": "half", "rle": {"size": [120, 180], "counts": [0, 10_800, 10_800]}}
    levels = {}
    for edges in (None, "hard", "soft"):
        path = call("export", photo, [half], "cutouts_zip", None, edges)["path"]
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            image = Image.open(io.BytesIO(archive.read(name)))
            levels[edges] = set(np.unique(np.array(image)[..., 3]))
    assert levels[None] == levels["hard"] <= {0, 255}
    assert levels["soft"] - {0, 255}


@pytest.mark.parametrize("edges", ["blurred", 1, True, ["soft"], {}])
def test_other_edges_are_one_sentence(call, photo, edges):
    with pytest.raises(gr.Error, match='edges must be "soft" or "hard"'):
        call("export", photo, [OBJECT], "cutouts_zip", None, edges)


def test_the_extension_is_that_of_the_photo_as_it_was_read(call, folder):
    """Opened by Pillow alone, the EXIF of this file takes hundreds of MB."""
    path = folder / "blob"
    jpeg = encoded(picture(120, 180), "JPEG")
    exif = jpeg_segments(0xE1, exif_that_repeats(1000, 400_000), b"Exif\0\0")
    path.write_bytes(jpeg[:2] + exif + jpeg[20:])
    tracemalloc.start()
    exported = Path(call("export", str(path), [OBJECT], "coco_rle", None, None)["path"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert json.loads(exported.read_bytes())["images"][0]["file_name"] == "photo.jpg"
    assert peak < 50_000_000


@pytest.mark.parametrize("name", [7, [], {}, True])
def test_a_name_that_is_no_text_is_refused(call, photo, name):
    with pytest.raises(gr.Error, match="name must be"):
        call("export", photo, [OBJECT], "coco_rle", name, None)


def test_a_path_that_gradio_does_not_recognize_as_a_file_is_refused(call, folder):
    outside = folder.parent / "outside.png"
    outside.write_bytes(b"secret")
    with pytest.raises(gr.Error, match="Upload it"):
        call("segment", {"path": str(outside)}, [[1, 1, 1]], None, None, None)


@pytest.mark.parametrize("field", [0, 1, 2, 3, 4])
def test_a_url_in_an_argument_that_is_no_photo_is_not_fetched(call, photo, field):
    url = {"path": "http://127.0.0.1:1/a.png", "meta": {"_type": "gradio.FileData"}}
    arguments = [[OBJECT], "coco_rle", None, None]
    image = photo
    if field == 0:
        image = "http://127.0.0.1:1/a.png"
    else:
        arguments[field - 1] = [url]
    with pytest.raises(gr.Error, match=r"URLs are not allowed|public internet"):
        call("export", image, *arguments)


def test_gradio_moves_the_files_in_json_by_the_method_that_refuses_urls(folder, photo):
    """Names `async_move_files_to_cache` and `async_move_resource_to_block_cache`."""
    argument = endpoints.JsonInput()
    for url in ("http://127.0.0.1/a.png", "https://example.com/a"):
        file = {"path": url, "meta": {"_type": "gradio.FileData"}}
        with pytest.raises(gr.Error, match="Upload the file") as raised:
            run_async(async_move_files_to_cache({"deep": [file]}, argument))
        assert not raised.value.print_exception
    upload = {"path": photo, "meta": {"_type": "gradio.FileData"}}
    moved = run_async(async_move_files_to_cache([upload], argument))[0]["path"]
    assert Path(moved).read_bytes() == Path(photo).read_bytes()


def test_a_photo_by_url_is_downloaded_in_the_queue_within_the_limit(monkeypatch, folder):
    got, may_finish = [], threading.Event()
    monkeypatch.setattr(endpoints, "fetch_photo", lambda *args: got.append(args) or folder / "a")

    async def scene() -> str | None:
        image = endpoints.PhotoFile()
        image.max_bytes, image.queue = 7, WorkQueue(1, 0, BUSY)
        running = asyncio.create_task(image.queue.run(may_finish.wait))
        await asyncio.sleep(0.01)
        with pytest.raises(gr.Error, match=BUSY):
            await image.async_move_resource_to_block_cache("https://example.com/a")
        may_finish.set()
        await running
        return await image.async_move_resource_to_block_cache("https://example.com/a")

    assert run_async(scene()) == str(folder / "a")
    assert got == [("https://example.com/a", 7)]


def test_the_documentation_has_a_schema_and_an_example_of_every_argument(segmenter):
    """Names Component.api_info, example_payload and get_block_name."""
    model: Future[object] = Future()

    async def scene():
        demo = gr.Blocks()
        with demo:
            endpoints.add_endpoints(model, ImageLimits(), WorkQueues())
        return demo.get_api_info(), [one["type"] for one in demo.config["components"]]

    info, types = run_async(scene())
    named = info["named_endpoints"]
    assert list(named) == ["/segment", "/everything", "/export"]
    (options,) = [one for one in named["/everything"]["parameters"] if one["label"] == "options"]
    assert options["example_input"] == {"points_per_side": 16}
    properties = options["type"]["anyOf"][0]["properties"]
    assert list(properties) == list(EverythingOptions.__dataclass_fields__)
    assert "points_per_side: int" in json_schema_to_python_type(options["type"])
    assert {"image", "json", "file"} <= set(types)
    assert not {"photofile", "jsoninput"} & set(types)
