"""Visitors' files: a private folder, emptied as the files age, and gone at the end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from mobilesam.web.server import storage as module
from mobilesam.web.server.storage import MAX_AGE_S, sweep, visitor_files


def aged(path: Path, seconds: float) -> Path:
    """A file or folder that was last written so long ago."""
    path.parent.mkdir(exist_ok=True, parents=True)
    if not path.is_dir():
        path.write_bytes(b"photo")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_old_files_go_and_new_ones_stay(tmp_path):
    old = aged(tmp_path / "a" / "old.png", MAX_AGE_S + 60)
    new = aged(tmp_path / "a" / "new.png", MAX_AGE_S - 60)
    deep = aged(tmp_path / "b" / "c" / "mask.png", MAX_AGE_S + 60)
    sweep(tmp_path)
    assert not old.exists()
    assert not deep.exists()
    assert new.exists()


def test_a_folder_goes_when_it_has_been_empty_as_long(tmp_path):
    for name in ("emptied", "fresh"):
        (tmp_path / name).mkdir()
    aged(tmp_path / "emptied", MAX_AGE_S + 60)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fresh"]
    aged(tmp_path, MAX_AGE_S + 60)
    sweep(tmp_path / "fresh", max_age_s=-1)
    assert (tmp_path / "fresh").exists()  # the folder itself is needed


def test_the_oldest_files_make_room_for_the_newest(tmp_path):
    files = [aged(tmp_path / str(age) / "photo.png", age) for age in (4, 3, 2, 1)]
    each = 4096 + 4096  # of a few bytes: a block, and the folder
    sweep(tmp_path, max_bytes=4 * each)
    assert all(file.exists() for file in files)
    sweep(tmp_path, max_bytes=3 * each - 1)
    assert [file.exists() for file in files] == [False, False, True, True]


def test_a_link_out_of_the_folder_is_removed_and_not_followed(tmp_path):
    elsewhere = aged(tmp_path / "elsewhere" / "file", MAX_AGE_S + 60)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "link").symlink_to(elsewhere.parent)
    (folder / "file").symlink_to(elsewhere)
    sweep(folder, max_age_s=-1)
    assert elsewhere.exists()
    assert not (folder / "file").is_symlink()


@pytest.mark.parametrize("given", [True, False])
def test_uploads_go_to_a_folder_of_this_process_which_is_gone_at_the_end(
    tmp_path, monkeypatch, given
):
    if given:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    else:
        monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    before = get_upload_folder()
    with visitor_files():
        folder = Path(get_upload_folder())
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.is_relative_to(before) == given
        aged(folder / "a" / "photo.png", 0)
    assert not folder.exists()
    assert get_upload_folder() == before


def test_it_is_swept_until_the_end(monkeypatch):
    swept, folders = threading.Event(), []

    def note(folder):
        folders.append(str(folder))
        swept.set()

    monkeypatch.setattr(module, "_SWEEP_S", 0.01)
    monkeypatch.setattr(module, "sweep", note)
    others = threading.active_count()
    with visitor_files():
        assert swept.wait(10)
        assert set(folders) == {get_upload_folder()}
        (sweeper,) = threading.enumerate()[others:]
    sweeper.join(10)
    assert not sweeper.is_alive()
