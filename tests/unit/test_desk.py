"""The desk's own rules, without a page: places for heavy work, and whose photo is whose."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from PIL import Image

from mobilesam import Segmenter
from mobilesam.web import desk as desk_module
from mobilesam.web import uploads
from mobilesam.web.desk import FULL_SIZE_PLACES, Desk


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
    click = [{"type": "point", "x": 100, "y": 70, "label": 1}]
    asked = {"history": click, "kind": "mask"}
    mine_file = desk.export({**asked, "token": mine["token"]})
    their_file = desk.export({**asked, "token": theirs["token"]})
    desk.leave("one")
    assert not Path(mine_file["path"]).exists()
    assert Path(their_file["path"]).exists()
    assert desk.segment({"token": mine["token"], "history": click})["expired"]
    assert desk.segment({"token": theirs["token"], "history": click})["ok"]


def test_a_photo_is_not_left_open_when_its_visitor_leaves_while_it_is_encoded(
    desk, photo, monkeypatch
):
    encode = desk._segmenter.encode_photo

    def encode_and_lose_the_visitor(opened):
        desk.leave("one")
        return encode(opened)

    theirs = desk.open(query(photo, "two"))
    monkeypatch.setattr(desk._segmenter, "encode_photo", encode_and_lose_the_visitor)
    mine = desk.open(query(photo, "one"))
    click = [{"type": "point", "x": 100, "y": 70, "label": 1}]
    assert desk.segment({"token": mine["token"], "history": click})["expired"]
    assert desk.segment({"token": theirs["token"], "history": click})["ok"]
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "get_upload_folder", lambda: str(photo.parent))
    back = desk.open(query(photo, "one"))
    assert desk.segment({"token": back["token"], "history": click})["ok"]
