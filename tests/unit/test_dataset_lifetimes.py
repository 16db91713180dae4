"""When a data set that the page writes ends: closed tabs, silence, full disks, and limits."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from pathlib import Path

import pytest

from mobilesam.web.page import dataset_sessions
from mobilesam.web.server.storage import sweep
from tests.dataset_calls import GONE, begin, files_in, photo_of, sent
from tests.event_loop import run_async
from tests.opening import close_tab, upload


def test_a_closed_tab_leaves_nothing(handlers, ask, folder):
    own, other = begin(ask), begin(lambda **query: ask("two", **query))
    ask(dataset=own, n=0, photo=sent())
    run_async(close_tab(handlers, "one"))
    assert GONE in ask(dataset=own, n=1, photo=sent())["error"]
    assert ask(dataset=other, n=1, photo=sent())["ok"]
    assert files_in(folder) == ["dataset-yolo.zip"]


def test_a_silent_data_set_is_dropped(handlers, ask, folder, monkeypatch):
    dataset = begin(ask)
    handlers.files.datasets.close_silent()
    assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    monkeypatch.setattr(dataset_sessions, "SILENCE_S", -1.0)
    handlers.files.datasets.close_silent()
    assert GONE in ask(dataset=dataset, n=1, photo=sent())["error"]
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_silence_ends_a_data_set_without_another_call(handlers, folder, monkeypatch):
    for module in ("dataset_sessions", "file_handlers"):
        monkeypatch.setattr(f"mobilesam.web.page.{module}.SILENCE_S", -0.9)

    async def begin_and_wait():
        reply = await handlers.files.dataset({"format": "yolo", "photos": ["a"]}, "one")
        assert reply["ok"]
        assert len(files_in(folder)) == 1
        await asyncio.sleep(0.4)

    run_async(begin_and_wait())
    assert list(folder.iterdir()) == []


def test_a_tab_writes_two_at_once_and_all_tabs_so_many(ask, monkeypatch):
    first, second, third = (begin(ask) for _ in range(3))
    assert GONE in ask(dataset=first, n=0, photo=sent())["error"]
    for dataset in (second, third):
        assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    monkeypatch.setattr(dataset_sessions, "MAX_OPEN", 2)
    reply = ask("two", format="yolo", photos=["a"])
    assert "Too many data sets" in reply["error"]
    ask(dataset=second, finish=True)
    assert ask("two", format="yolo", photos=["a"])["ok"]


def test_data_sets_without_photos_keep_no_one_from_exporting(ask, monkeypatch):
    monkeypatch.setattr(dataset_sessions, "MAX_OPEN", 3)
    with_photo = begin(ask)
    assert ask(dataset=with_photo, n=0, photo=sent())["ok"]
    empty = [begin(functools.partial(ask, f"tab {n}")) for n in range(6)]
    for dataset in empty[:4]:
        assert GONE in ask(dataset=dataset, n=0, photo=sent())["error"]
    for dataset in (with_photo, *empty[4:]):
        assert ask(dataset=dataset, n=1, photo=sent())["ok"]
    assert "Too many data sets" in ask("two", format="yolo", photos=["a"])["error"]


def test_data_sets_that_were_silent_for_a_while_keep_no_one_from_exporting(ask, monkeypatch):
    monkeypatch.setattr(dataset_sessions, "MAX_OPEN", 2)
    first, second = (begin(functools.partial(ask, f"tab {n}")) for n in range(2))
    for dataset in (second, first):
        assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    assert "Too many data sets" in ask("two", format="yolo", photos=["a"])["error"]
    monkeypatch.setattr(dataset_sessions, "YIELD_S", 0.0)
    assert ask("two", format="yolo", photos=["a"])["ok"]
    assert GONE in ask(dataset=second, n=1, photo=sent())["error"]  # silent for longest
    assert ask(dataset=first, n=1, photo=sent())["ok"]


def test_a_third_data_set_takes_the_place_of_the_first_finished_one_of_its_tab(ask, folder):
    for count in range(1, 4):
        dataset = begin(ask)
        ask(dataset=dataset, n=0, photo=sent())
        assert ask(dataset=dataset, finish=True)["ok"]
        assert len(files_in(folder)) == min(count, 2)
    assert ask(dataset=dataset, finish=True)["ok"]


def test_a_data_set_has_a_largest_size(ask, monkeypatch, tmp_path_factory):
    dataset = begin(ask)
    source = photo_of(tmp_path_factory)
    monkeypatch.setattr(dataset_sessions, "MAX_BYTES", 300)
    reply = ask(dataset=dataset, n=0, photo=sent(path=upload(source)))
    assert "Export it without the photos" in reply["error"]
    assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    monkeypatch.setattr(dataset_sessions, "MAX_ALL_BYTES", 10)
    assert "no room" in ask(dataset=dataset, n=1, photo=sent("b.jpg"))["error"]
    assert ask(dataset=dataset, finish=True)["photos"] == 1


def test_sweeping_spares_what_is_being_written(ask, folder):
    dataset = begin(ask, file_format="coco_rle")  # writes to the ZIP at the end only
    path = next(folder.rglob("*.zip"))
    old = path.stat().st_mtime - 3600
    os.utime(path, (old, old))
    assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    sweep(folder)
    assert ask(dataset=dataset, n=1, photo=sent("b.jpg"))["ok"]
    os.utime(path, (old, old))
    sweep(folder)
    assert GONE in ask(dataset=dataset, n=2, photo=sent("c.jpg"))["error"]


def test_a_full_disk_ends_the_data_set(ask, folder, monkeypatch):
    dataset = begin(ask)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mobilesam.export.dataset.DatasetWriter._write", refuse)
        assert "disk is full" in ask(dataset=dataset, n=0, photo=sent())["error"]
    assert GONE in ask(dataset=dataset, n=0, photo=sent())["error"]
    assert files_in(folder) == []


def test_closing_waits_for_the_photo_that_is_written(handlers, ask, folder, monkeypatch):
    dataset = begin(ask)
    writing, go_on = threading.Event(), threading.Event()
    original = dataset_sessions.DatasetWriter.add

    def held(*args, **kwargs):
        writing.set()
        assert go_on.wait(10)
        return original(*args, **kwargs)

    monkeypatch.setattr(dataset_sessions.DatasetWriter, "add", held)

    async def close_while_writing():
        adding = asyncio.ensure_future(
            handlers.files.dataset({"dataset": dataset, "n": 0, "photo": sent()}, "one")
        )
        await asyncio.to_thread(writing.wait, 10)
        closing = asyncio.ensure_future(close_tab(handlers, "one"))
        await asyncio.sleep(0.1)
        assert not closing.done()
        go_on.set()
        await closing
        return await adding

    assert run_async(close_while_writing())["ok"]
    assert files_in(folder) == []


def test_a_finished_data_set_counts_until_its_file_is_removed(ask, monkeypatch, tmp_path_factory):
    source = photo_of(tmp_path_factory)
    first = begin(ask)
    assert ask(dataset=first, n=0, photo=sent(path=upload(source)))["ok"]
    done = ask(dataset=first, finish=True)
    monkeypatch.setattr(dataset_sessions, "MAX_ALL_BYTES", Path(done["path"]).stat().st_size - 1)
    second = begin(lambda **query: ask("two", **query))
    assert "no room" in ask(dataset=second, n=0, photo=sent())["error"]
    Path(done["path"]).unlink()
    assert ask(dataset=second, n=0, photo=sent())["ok"]


def test_a_refused_call_is_not_watched(ask, monkeypatch):
    armed = []
    dataset = begin(ask)
    with monkeypatch.context() as patch:
        patch.setattr(
            asyncio.BaseEventLoop,
            "call_later",
            lambda self, delay, *args, **more: (
                armed.append(delay) or self.call_at(self.time() + delay, *args, **more)
            ),
        )
        assert not ask(dataset="unknown", finish=True)["ok"]
        assert not ask(format="x")["ok"]
        assert not ask(dataset=dataset, n=0, photo={})["ok"]
        assert dataset_sessions.SILENCE_S + 1 not in armed
        assert ask(dataset=dataset, n=0, photo=sent())["ok"]
        assert armed.count(dataset_sessions.SILENCE_S + 1) == 1


def test_a_refused_call_does_not_keep_a_data_set(handlers, ask):
    dataset = handlers.files.datasets.get(begin(ask))
    before = dataset.used_at
    assert not ask(dataset=dataset.id, n=0, photo={})["ok"]
    assert dataset.used_at == before
    assert ask(dataset=dataset.id, n=0, photo=sent())["ok"]
    assert dataset.used_at > before
