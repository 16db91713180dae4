"""The desk's own rules, without a page: places for heavy work, and whose photo is whose."""

from __future__ import annotations

import errno
import os
import threading
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
from mobilesam.web.desk import FULL_SIZE_PLACES, Desk

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


def query(path: Path | str, visitor: str = "one") -> dict[str, object]:
    return {"seq": 1, "path": str(path), "name": "disc.png", "visitor": visitor}


def test_an_upload_is_opened_under_a_token_that_cannot_be_guessed(desk, photo):
    first, second = desk.open(query(photo)), desk.open(query(photo))
    assert first["ok"]
    assert first["token"] != second["token"]
    assert len(first["token"]) >= 32


def test_a_visitor_is_told_that_the_cpu_had_to_encode(stub_sam, stub_weights, folder, photo):
    network = plain_network(stub_sam)

    def full(_pixels):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    spared = replace(network, encode=full, encode_on_cpu=network.encode)
    desk = Desk(loaded(Segmenter(spared, stub_weights, checkpoint="stub")), folder)
    reply = desk.open(query(photo))
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
        for _ in range(FULL_SIZE_PLACES + 1):
            reply = desk.open(query(photo))
            assert not reply["ok"]
            assert "Try again" in reply["error"]
    assert desk.open(query(photo))["ok"]


def test_a_full_disk_is_one_sentence_and_leaves_no_file(desk, folder, photo, monkeypatch):
    token = desk.open(query(photo))["token"]
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
    reply = desk.open(query(photo))
    assert reply["expired"]
    assert len(desk._photos) == 0
    assert not photo.exists()


def test_an_upload_goes_with_its_visitor_unless_it_has_been_uploaded_anew(desk, photo):
    content = photo.read_bytes()
    desk.open(query(photo, "one"))
    photo.unlink()
    photo.write_bytes(content)  # Gradio keeps the same photo of two visitors in one place
    theirs = desk.open(query(photo, "two"))
    desk.leave("one")
    assert photo.exists()
    assert desk.preview({"token": theirs["token"]})["ok"]
    desk.leave("two")
    assert not photo.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "{folder}/../elsewhere.png", "{folder}", "nul\0"])
def test_what_was_not_uploaded_is_refused(desk, folder, photo, path):
    photo.replace(folder.parent / "elsewhere.png")
    reply = desk.open(query(path.format(folder=folder)))
    assert not reply["ok"]
    assert "not been uploaded" in reply["error"]


def test_heavy_work_has_a_bounded_number_of_places_and_then_a_sentence(desk, photo, monkeypatch):
    monkeypatch.setattr(desk_module, "PLACE_TIMEOUT_S", 0.05)
    token = desk.open(query(photo))["token"]
    let_go, inside = threading.Event(), threading.Semaphore(0)

    def slow_open(path):
        inside.release()
        assert let_go.wait(10)
        return opened(path)

    opened = desk._segmenter.open
    monkeypatch.setattr(desk._segmenter, "open", slow_open)
    workers = [
        threading.Thread(target=desk.preview, args=({"token": token},))
        for _ in range(FULL_SIZE_PLACES)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert inside.acquire(timeout=10)
    reply = desk.preview({"token": token})
    assert not reply["ok"]
    assert "try again" in reply["error"]
    let_go.set()
    for worker in workers:
        worker.join(10)
    assert desk.preview({"token": token})["ok"]


def test_leaving_takes_ones_own_photos_and_files_along_and_nobody_elses(desk, photo):
    mine, theirs = desk.open(query(photo, "one")), desk.open(query(photo, "two"))
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
    first, second = ({"token": desk.open(query(photo))["token"]} for _ in range(2))
    assert desk.preview(first)["ok"]
    desk.open(query(photo))
    assert desk.preview(first)["ok"]
    assert desk.preview(second)["expired"]
