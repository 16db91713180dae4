"""The handlers's own rules, without a page: places for heavy work, and whose photo is whose."""

from __future__ import annotations

import errno
import os
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mobilesam import Segmenter
from mobilesam.model.backend import plain_backend
from mobilesam.web.page import handlers as desk_module
from mobilesam.web.page import photo_sessions as open_photos
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.server import uploads
from tests.opening import opened

CLICK = [{"type": "point", "x": 100, "y": 70, "label": 1}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The upload folder of this test."""
    monkeypatch.setattr(uploads, "get_upload_folder", lambda: str(tmp_path))
    return tmp_path


def loaded(segmenter: Segmenter) -> Future[Segmenter]:
    model: Future[Segmenter] = Future()
    model.set_result(segmenter)
    return model


@pytest.fixture
def handlers(segmenter, folder) -> PageHandlers:
    return PageHandlers(loaded(segmenter), folder)


@pytest.fixture
def photo(disc, folder) -> Path:
    path = folder / "disc.png"
    Image.fromarray(disc).save(path)
    return path


def test_an_upload_is_opened_under_a_token_that_cannot_be_guessed(handlers, photo):
    first, second = opened(handlers, photo), opened(handlers, photo)
    assert first["ok"]
    assert first["token"] != second["token"]
    assert len(first["token"]) >= 32


def test_a_visitor_is_told_that_the_cpu_had_to_encode(stub_sam, stub_weights, folder, photo):
    network = plain_backend(stub_sam)

    def full(_pixels):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    spared = replace(network, encode=full, encode_on_cpu=network.encode)
    handlers = PageHandlers(loaded(Segmenter(spared, stub_weights, checkpoint="stub")), folder)
    reply = opened(handlers, photo)
    assert reply["notes"] == ["The GPU's memory was full, so this photo was encoded on the CPU."]
    assert handlers.segment({"token": reply["token"], "history": CLICK})["ok"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError()])
def test_an_encoder_that_fails_is_one_sentence_and_the_next_photo_works(
    handlers, segmenter, stub_sam, photo, monkeypatch, error
):
    def fail(_pixels):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(stub_sam.image_encoder.module, "forward", fail)
        reply = opened(handlers, photo)
        assert not reply["ok"]
        assert "Try again" in reply["error"]
    assert opened(handlers, photo)["ok"]


def test_a_full_disk_is_one_sentence_and_leaves_no_file(handlers, folder, photo, monkeypatch):
    token = opened(handlers, photo)["token"]
    asked = {"token": token, "history": CLICK, "kind": "mask"}
    write = Path.write_bytes

    def fill(path, data):
        write(path, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        reply = handlers.export(asked)
    assert not reply["ok"]
    assert "disk is full" in reply["error"]
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["disc.png"]
    assert handlers.export(asked)["ok"]


def test_a_visitor_who_leaves_in_the_middle_of_an_encode_leaves_nothing(
    handlers, segmenter, folder, photo, monkeypatch
):
    encode = segmenter.encode_photo

    def leave_meanwhile(opened):
        handlers.leave("one")
        return encode(opened)

    monkeypatch.setattr(segmenter, "encode_photo", leave_meanwhile)
    reply = opened(handlers, photo)
    assert reply["expired"]
    assert len(handlers._photos) == 0
    assert not photo.exists()


def test_a_visitor_who_leaves_while_a_photo_waits_its_turn_leaves_nothing(
    handlers, stub_sam, folder, photo
):
    admitted = handlers.admit({"path": str(photo), "name": "disc.png", "visitor": "one"})
    handlers.leave("one")
    assert handlers.open({"token": admitted["token"]})["expired"]
    assert stub_sam.image_encoder.calls == 0
    assert len(handlers._photos) == 0
    assert not photo.exists()


def test_a_visitor_may_have_a_few_photos_waiting(handlers, photo, monkeypatch):
    monkeypatch.setattr(open_photos, "MAX_WAITING_EACH", 2)

    def admitted(visitor: str) -> dict:
        return handlers.admit({"path": str(photo), "name": "disc.png", "visitor": visitor})

    first, second, third, other = (admitted(name) for name in ("one", "one", "one", "two"))
    assert "waiting already" in third["error"]
    assert other["ok"]
    assert handlers.open(first)["ok"]
    assert admitted("one")["ok"]
    assert handlers.open(second)["ok"]


def test_an_upload_goes_with_its_visitor_unless_it_has_been_uploaded_anew(handlers, photo):
    content = photo.read_bytes()
    opened(handlers, photo, "one")
    photo.unlink()
    photo.write_bytes(content)  # Gradio keeps the same photo of two visitors in one place
    theirs = opened(handlers, photo, "two")
    handlers.leave("one")
    assert photo.exists()
    assert handlers.preview({"token": theirs["token"]})["ok"]
    handlers.leave("two")
    assert not photo.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/../elsewhere.png", "{folder}", "nul\0"])
def test_what_was_not_uploaded_is_refused(handlers, folder, photo, path):
    photo.replace(folder.parent / "elsewhere.png")
    reply = opened(handlers, path.format(folder=folder))
    assert not reply["ok"]
    assert "not been uploaded" in reply["error"]


def test_when_the_last_visitor_has_gone_free_memory_goes_back(handlers, photo, monkeypatch):
    told = []
    monkeypatch.setattr(
        desk_module, "return_free_memory", lambda: told.append(handlers.open_photos)
    )
    for visitor in ("one", "two", "two"):
        opened(handlers, photo, visitor)
    for visitor in ("nobody", "one"):
        handlers.leave(visitor)
    assert told == []
    handlers.leave("two")
    assert told == [0]
    handlers.leave("two")
    assert told == [0]


def test_now_and_then_free_memory_goes_back_while_visitors_are_there(
    handlers, draw_disc, folder, monkeypatch
):
    monkeypatch.setattr(desk_module, "TIDY_EVERY", 3)
    times = []
    monkeypatch.setattr(desk_module, "return_free_memory", lambda: times.append(number))
    path = folder / "disc.png"
    for number in range(1, 8):
        Image.fromarray(draw_disc(number)).save(path)
        assert opened(handlers, path)["ok"]
        assert opened(handlers, path)["cached"]
    assert times == [3, 6]


def test_leaving_takes_ones_own_photos_and_files_along_and_nobody_elses(handlers, photo):
    mine, theirs = opened(handlers, photo, "one"), opened(handlers, photo, "two")
    asked = {"history": CLICK, "kind": "mask"}
    mine_file = handlers.export({**asked, "token": mine["token"]})
    their_file = handlers.export({**asked, "token": theirs["token"]})
    handlers.leave("one")
    assert not Path(mine_file["path"]).exists()
    assert Path(their_file["path"]).exists()
    assert handlers.segment({"token": mine["token"], "history": CLICK})["expired"]
    assert handlers.segment({"token": theirs["token"], "history": CLICK})["ok"]


def test_the_photo_that_was_used_longest_ago_makes_room(handlers, photo, monkeypatch):
    monkeypatch.setattr(open_photos, "MAX_OPEN_PHOTOS", 2)
    first, second = ({"token": opened(handlers, photo)["token"]} for _ in range(2))
    assert handlers.preview(first)["ok"]
    opened(handlers, photo)
    assert handlers.preview(first)["ok"]
    assert handlers.preview(second)["expired"]
