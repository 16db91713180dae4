"""Opening photos: the queue, its positions, closed tabs, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mobilesam import Segmenter
from mobilesam.model import backend as backends
from mobilesam.web.page import opening as opening_module
from mobilesam.web.page import photo_sessions
from mobilesam.web.server.queues import WorkQueue
from tests.event_loop import run_async
from tests.opening import ask, close_tab, new_handlers, opened, poll, start, upload

CLICK = [{"type": "point", "x": 100, "y": 70, "label": 1}]
BUSY = "Too many photos."


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


class Held:
    """Holds the encoder until it is released."""

    def __init__(self, stub_sam, monkeypatch):
        self.begun, self.released = threading.Event(), threading.Event()
        forward = stub_sam.image_encoder.module.forward

        def hold(pixels):
            self.begun.set()
            assert self.released.wait(30)
            return forward(pixels)

        monkeypatch.setattr(stub_sam.image_encoder.module, "forward", hold)


@pytest.fixture
def held(stub_sam, monkeypatch) -> Held:
    return Held(stub_sam, monkeypatch)


@pytest.fixture
def another(draw_disc, photo):
    """another(number): the path of a different photo."""

    def save(number: int) -> Path:
        path = photo.with_name(f"disc-{number}.png")
        Image.fromarray(draw_disc(number)).save(path)
        return path

    return save


def test_a_photo_is_opened_under_a_token_that_cannot_be_guessed(handlers, photo):
    first, second = opened(handlers, photo), opened(handlers, photo)
    assert first["size"] == [120, 180]
    assert not first["cached"]
    assert second["cached"]
    assert first["token"] != second["token"]
    assert len(first["token"]) >= 32


def test_a_photo_reports_its_position_until_it_is_encoded(
    handlers, photo, another, held, monkeypatch
):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)

    async def scene():
        paths = [photo, another(1), another(2)]
        replies = [await start(handlers, path, str(path)) for path in paths]
        held.released.set()
        return replies, [await poll(handlers, reply) for reply in replies]

    replies, last = run_async(scene())
    assert [reply["state"] for reply in replies] == ["encoding", "queued", "queued"]
    assert [reply["position"] for reply in replies] == [0, 1, 2]
    assert [reply["state"] for reply in last] == ["done"] * 3


@pytest.mark.slow
def test_a_call_is_answered_within_about_a_second(handlers, photo, held):
    async def scene():
        reply = await asyncio.wait_for(start(handlers, photo), 5)
        held.released.set()
        return reply

    assert run_async(scene())["state"] == "encoding"


def test_the_last_reply_can_be_asked_for_again(handlers, photo):
    async def scene():
        reply = await poll(handlers, await start(handlers, photo))
        return reply, await ask(handlers, reply)

    reply, again = run_async(scene())
    assert reply["state"] == "done"
    assert again == reply


def test_a_photo_waits_in_the_queue_until_the_model_is_loaded(
    segmenter, folder, photo, another, monkeypatch
):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)
    handlers = new_handlers(None, folder)

    async def scene():
        waiting = [await start(handlers, path) for path in (photo, another(1))]
        handlers._model.set_result(segmenter)
        return waiting, [await poll(handlers, reply) for reply in waiting]

    waiting, last = run_async(scene())
    assert [reply["state"] for reply in waiting] == ["loading_model"] * 2
    assert [reply["position"] for reply in waiting] == [0, 1]
    assert [reply["state"] for reply in last] == ["done"] * 2


def test_several_polls_at_once_get_the_same_reply(handlers, photo, stub_sam):
    async def scene():
        reply = await start(handlers, photo)
        return await asyncio.gather(*(poll(handlers, reply) for _ in range(5)))

    replies = run_async(scene())
    assert replies == [replies[0]] * 5
    assert replies[0]["state"] == "done"
    assert stub_sam.image_encoder.calls == 1


def test_a_model_that_cannot_be_loaded_is_one_sentence(folder, photo):
    handlers = new_handlers(None, folder)
    handlers._model.set_exception(RuntimeError("broken"))
    for reply in (opened(handlers, photo), handlers.model_info({})):
        assert not reply["ok"]
        assert "went wrong" in reply["error"]
        assert "broken" not in reply["error"]
    assert files_in(folder) == []


def test_only_so_many_photos_wait_for_the_model(folder, photo, another, monkeypatch):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.01)
    handlers = new_handlers(None, folder)
    handlers._queues.photos = WorkQueue(1, 0, BUSY)

    async def scene():
        first = await start(handlers, photo)
        refused = await start(handlers, another(1), "two")
        handlers._model.set_exception(RuntimeError("The end of the test."))
        return first, refused

    first, refused = run_async(scene())
    assert first["state"] == "loading_model"
    assert refused["error"] == BUSY
    assert len(files_in(folder)) == 1


def test_a_full_queue_is_one_sentence_and_leaves_no_file(
    handlers, photo, another, held, folder, monkeypatch
):
    handlers._queues.photos = WorkQueue(1, 0, BUSY)
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)

    async def scene():
        first = await start(handlers, photo)
        refused = await start(handlers, another(1), "two")
        held.released.set()
        return refused, await poll(handlers, first)

    refused, reply = run_async(scene())
    assert refused["error"] == BUSY
    assert reply["state"] == "done"
    assert len(files_in(folder)) == 1
    assert len(handlers.photos) == 1


@pytest.mark.slow
def test_a_waiting_photo_that_is_not_polled_is_dropped(
    handlers, photo, another, held, folder, stub_sam, monkeypatch
):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)
    monkeypatch.setattr(opening_module, "OPEN_TIMEOUT_S", 1.5)

    async def scene():
        first = await start(handlers, photo)
        abandoned = await start(handlers, another(1), "two")
        for _ in range(40):  # longer than the timeout
            first = await ask(handlers, first)
        held.released.set()
        return await poll(handlers, first), await ask(handlers, abandoned)

    reply, abandoned = run_async(scene())
    assert reply["state"] == "done"
    assert abandoned["expired"]
    assert stub_sam.image_encoder.calls == 1
    assert len(files_in(folder)) == 1
    assert len(handlers.photos) == 1


@pytest.mark.slow
def test_an_open_photo_is_not_dropped_without_polls(handlers, photo, monkeypatch):
    monkeypatch.setattr(opening_module, "OPEN_TIMEOUT_S", 1.5)

    async def scene():
        reply = await poll(handlers, await start(handlers, photo))
        await asyncio.sleep(2)
        return reply

    token = run_async(scene())["token"]
    assert handlers.segment({"token": token, "interactions": CLICK})["ok"]


def test_the_user_is_told_that_the_cpu_had_to_encode(stub_sam, stub_weights, folder, photo):
    backend = backends.plain_backend(stub_sam)

    def full(_pixels):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    spared = replace(backend, encode=full, encode_on_cpu=backend.encode)
    handlers = new_handlers(Segmenter(spared, stub_weights, checkpoint="stub"), folder)
    reply = opened(handlers, photo)
    assert reply["notes"] == ["The GPU's memory was full, so this photo was encoded on the CPU."]
    assert handlers.segment({"token": reply["token"], "interactions": CLICK})["ok"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError()])
def test_an_encoder_that_fails_is_one_sentence_and_leaves_nothing(
    handlers, stub_sam, photo, folder, monkeypatch, error
):
    def fail(_pixels):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(stub_sam.image_encoder.module, "forward", fail)
        reply = opened(handlers, photo)
    assert not reply["ok"]
    assert "Try again" in reply["error"]
    assert files_in(folder) == []
    assert len(handlers.photos) == 0
    assert opened(handlers, photo)["ok"]


def test_a_file_that_is_no_photo_is_one_sentence_and_leaves_nothing(handlers, photo, folder):
    path = photo.with_name("photo.jpg")
    path.write_bytes(b"no photo")
    reply = opened(handlers, path)
    assert "not a photo" in reply["error"]
    assert files_in(folder) == []


def test_a_full_disk_is_one_sentence_and_leaves_no_file(handlers, folder, photo, monkeypatch):
    token = opened(handlers, photo)["token"]
    query = {"token": token, "interactions": CLICK, "kind": "mask"}
    write = Path.write_bytes

    def fill(path, data):
        write(path, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        reply = handlers.files.export(query)
    assert not reply["ok"]
    assert "disk is full" in reply["error"]
    assert len(files_in(folder)) == 1
    assert handlers.files.export(query)["ok"]


def test_a_tab_closed_during_an_encode_leaves_nothing(handlers, photo, folder, held):
    async def scene():
        task = asyncio.create_task(start(handlers, photo))
        while not held.begun.is_set():
            await asyncio.sleep(0.01)
        await close_tab(handlers, "one")
        held.released.set()
        return await task

    assert run_async(scene())["expired"]
    assert len(handlers.photos) == 0
    assert files_in(folder) == []


def test_a_tab_closed_while_its_photo_waits_leaves_the_queue(
    handlers, photo, another, held, folder, stub_sam, monkeypatch
):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)

    async def scene():
        first = await start(handlers, photo)
        second = await start(handlers, another(1), "two")
        third = await start(handlers, another(2), "three")
        await close_tab(handlers, "two")
        moved_up = await ask(handlers, third)
        held.released.set()
        await poll(handlers, first)
        await poll(handlers, third)
        expired = (await ask(handlers, second))["expired"]
        return third["position"], moved_up["position"], expired

    assert run_async(scene()) == (2, 1, True)
    assert stub_sam.image_encoder.calls == 2
    assert len(files_in(folder)) == 2


def test_opening_a_photo_is_logged_once_when_it_ends(handlers, photo, held, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="mobilesam")
    monkeypatch.setattr(opening_module, "_POLL_S", 0.05)

    async def scene():
        reply = await start(handlers, photo)
        for _ in range(5):
            reply = await ask(handlers, reply)
        assert caplog.messages == []
        held.released.set()
        await poll(handlers, reply)
        await ask(handlers, {"token": "unknown"})

    run_async(scene())
    opened, unknown = caplog.messages
    assert "what=open outcome=ok" in opened
    assert int(opened.rpartition("work_ms=")[2]) >= 250
    assert "what=open outcome=ExpiredError" in unknown


def test_the_newest_photos_of_a_tab_take_the_places_of_older_ones_that_wait(
    handlers, photo, another, held, monkeypatch
):
    monkeypatch.setattr(opening_module, "_POLL_S", 0.01)
    monkeypatch.setattr(photo_sessions, "MAX_WAITING_PER_SESSION", 2)

    async def scene():
        done = await start(handlers, another(9))
        held.released.set()
        await poll(handlers, done)
        held.released.clear()
        waiting = [await start(handlers, path) for path in (photo, another(1))]
        other = await start(handlers, another(3), "two")
        newest = await start(handlers, another(2))
        held.released.set()
        replies = [await poll(handlers, reply) for reply in (*waiting, newest, other)]
        return handlers.preview({"token": done["token"]}), replies

    already_open, (oldest, *others) = run_async(scene())
    assert oldest["expired"]
    assert [reply["state"] for reply in others] == ["done"] * 3
    assert already_open["ok"]


def test_a_photo_stays_when_another_tab_closes_the_same_photo(handlers, photo, folder):
    """Even if both were stored under one path, as Gradio alone does with equal uploads."""
    path = Path(upload(photo))
    query = {"path": str(path), "name": "disc.png"}
    for session in ("one", "two"):
        path.write_bytes(photo.read_bytes())
        reply = run_async(handlers.opening.open(query, session))
        token = run_async(poll(handlers, reply))["token"]
        assert not path.exists()
    run_async(close_tab(handlers, "one"))
    assert handlers.preview({"token": token})["ok"]
    run_async(close_tab(handlers, "two"))
    assert files_in(folder) == []


def test_an_upload_that_another_call_has_opened_is_expired(handlers, photo):
    """As after a lost reply, or a restart: the page then uploads the photo again."""
    query = {"path": upload(photo), "name": "disc.png"}
    assert run_async(handlers.opening.open(query, "one"))["ok"]
    reply = run_async(handlers.opening.open(query, "one"))
    assert reply["expired"]
    assert "Upload it" in reply["error"]


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/../elsewhere.png", "{folder}", "nul\0"])
def test_paths_that_are_not_uploads_are_refused(handlers, folder, photo, path):
    elsewhere = photo.replace(folder.parent / "elsewhere.png")
    query = {"path": path.format(folder=folder), "name": "disc.png"}
    reply = run_async(handlers.opening.open(query, "one"))
    assert not reply["ok"]
    assert "Upload it" in reply["error"]
    assert elsewhere.exists()
    assert len(handlers.photos) == 0


@pytest.mark.parametrize("odd", [{"path": 7}, {"path": None}, {"name": None}, {"name": ["a"]}])
def test_an_odd_first_call_is_one_sentence(handlers, photo, odd):
    query = {"path": upload(photo), "name": "disc.png", **odd}
    reply = run_async(handlers.opening.open(query, "one"))
    assert "Reload the page" in reply["error"]
    assert len(handlers.photos) == 0


def test_an_endless_name_is_refused(handlers, photo):
    for length, is_open in ((1001, False), (1000, True)):
        query = {"path": upload(photo), "name": "x" * length}
        reply = run_async(handlers.opening.open(query, "one"))
        assert reply["ok"] == is_open
        assert is_open or "at most 1000 characters" in reply["error"]
    reply = handlers.files.read_classes({"text": "cat", "name": "x" * 1001})
    assert "at most 1000 characters" in reply["error"]
