"""The desk's own rules, without a page: places for heavy work, and whose photo is whose."""

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
from mobilesam.model.network import plain_network
from mobilesam.web import desk as desk_module
from mobilesam.web import open_photos, uploads
from mobilesam.web.desk import Desk
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
def desk(segmenter, folder) -> Desk:
    return Desk(loaded(segmenter), folder)


@pytest.fixture
def photo(disc, folder) -> Path:
    path = folder / "disc.png"
    Image.fromarray(disc).save(path)
    return path


def test_an_upload_is_opened_under_a_token_that_cannot_be_guessed(desk, photo):
    first, second = opened(desk, photo), opened(desk, photo)
    assert first["ok"]
    assert first["token"] != second["token"]
    assert len(first["token"]) >= 32


def test_a_visitor_is_told_that_the_cpu_had_to_encode(stub_sam, stub_weights, folder, photo):
    network = plain_network(stub_sam)

    def full(_pixels):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    spared = replace(network, encode=full, encode_on_cpu=network.encode)
    desk = Desk(loaded(Segmenter(spared, stub_weights, checkpoint="stub")), folder)
    reply = opened(desk, photo)
    assert reply["notes"] == ["The GPU's memory was full, so this photo was encoded on the CPU."]
    assert desk.segment({"token": reply["token"], "history": CLICK})["ok"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError()])
def test_an_encoder_that_fails_is_one_sentence_and_the_next_photo_works(
    desk, segmenter, stub_sam, photo, monkeypatch, error
):
    def fail(_pixels):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(stub_sam.image_encoder.module, "forward", fail)
        reply = opened(desk, photo)
        assert not reply["ok"]
        assert "Try again" in reply["error"]
    assert opened(desk, photo)["ok"]


def test_a_full_disk_is_one_sentence_and_leaves_no_file(desk, folder, photo, monkeypatch):
    token = opened(desk, photo)["token"]
    asked = {"token": token, "history": CLICK, "kind": "mask"}
    write = Path.write_bytes

    def fill(path, data):
        write(path, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        reply = desk.export(asked)
    assert not reply["ok"]
    assert "disk is full" in reply["error"]
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["disc.png"]
    assert desk.export(asked)["ok"]


def test_a_visitor_who_leaves_in_the_middle_of_an_encode_leaves_nothing(
    desk, segmenter, folder, photo, monkeypatch
):
    encode = segmenter.encode_photo

    def leave_meanwhile(opened):
        desk.leave("one")
        return encode(opened)

    monkeypatch.setattr(segmenter, "encode_photo", leave_meanwhile)
    reply = opened(desk, photo)
    assert reply["expired"]
    assert len(desk._photos) == 0
    assert not photo.exists()


def test_a_visitor_who_leaves_while_a_photo_waits_its_turn_leaves_nothing(
    desk, stub_sam, folder, photo
):
    admitted = desk.admit({"path": str(photo), "name": "disc.png", "visitor": "one"})
    desk.leave("one")
    assert desk.open({"token": admitted["token"]})["expired"]
    assert stub_sam.image_encoder.calls == 0
    assert len(desk._photos) == 0
    assert not photo.exists()


def test_a_visitor_may_have_a_few_photos_waiting(desk, photo, monkeypatch):
    monkeypatch.setattr(open_photos, "MAX_WAITING_EACH", 2)

    def admitted(visitor: str) -> dict:
        return desk.admit({"path": str(photo), "name": "disc.png", "visitor": visitor})

    first, second, third, other = (admitted(name) for name in ("one", "one", "one", "two"))
    assert "waiting already" in third["error"]
    assert other["ok"]
    assert desk.open(first)["ok"]
    assert admitted("one")["ok"]
    assert desk.open(second)["ok"]


def test_an_upload_goes_with_its_visitor_unless_it_has_been_uploaded_anew(desk, photo):
    content = photo.read_bytes()
    opened(desk, photo, "one")
    photo.unlink()
    photo.write_bytes(content)  # Gradio keeps the same photo of two visitors in one place
    theirs = opened(desk, photo, "two")
    desk.leave("one")
    assert photo.exists()
    assert desk.preview({"token": theirs["token"]})["ok"]
    desk.leave("two")
    assert not photo.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/../elsewhere.png", "{folder}", "nul\0"])
def test_what_was_not_uploaded_is_refused(desk, folder, photo, path):
    photo.replace(folder.parent / "elsewhere.png")
    reply = opened(desk, path.format(folder=folder))
    assert not reply["ok"]
    assert "not been uploaded" in reply["error"]


def test_when_the_last_visitor_has_gone_free_memory_goes_back(desk, photo, monkeypatch):
    told = []
    monkeypatch.setattr(desk_module, "return_free_memory", lambda: told.append(desk.open_photos))
    for visitor in ("one", "two", "two"):
        opened(desk, photo, visitor)
    for visitor in ("nobody", "one"):
        desk.leave(visitor)
    assert told == []
    desk.leave("two")
    assert told == [0]
    desk.leave("two")
    assert told == [0]


def test_now_and_then_free_memory_goes_back_while_visitors_are_there(
    desk, draw_disc, folder, monkeypatch
):
    monkeypatch.setattr(desk_module, "TIDY_EVERY", 3)
    times = []
    monkeypatch.setattr(desk_module, "return_free_memory", lambda: times.append(number))
    path = folder / "disc.png"
    for number in range(1, 8):
        Image.fromarray(draw_disc(number)).save(path)
        assert opened(desk, path)["ok"]
        assert opened(desk, path)["cached"]
    assert times == [3, 6]


def test_leaving_takes_ones_own_photos_and_files_along_and_nobody_elses(desk, photo):
    mine, theirs = opened(desk, photo, "one"), opened(desk, photo, "two")
    asked = {"history": CLICK, "kind": "mask"}
    mine_file = desk.export({**asked, "token": mine["token"]})
    their_file = desk.export({**asked, "token": theirs["token"]})
    desk.leave("one")
    assert not Path(mine_file["path"]).exists()
    assert Path(their_file["path"]).exists()
    assert desk.segment({"token": mine["token"], "history": CLICK})["expired"]
    assert desk.segment({"token": theirs["token"], "history": CLICK})["ok"]


def test_the_photo_that_was_used_longest_ago_makes_room(desk, photo, monkeypatch):
    monkeypatch.setattr(open_photos, "MAX_OPEN_PHOTOS", 2)
    first, second = ({"token": opened(desk, photo)["token"]} for _ in range(2))
    assert desk.preview(first)["ok"]
    opened(desk, photo)
    assert desk.preview(first)["ok"]
    assert desk.preview(second)["expired"]
