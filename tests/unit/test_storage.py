"""Uploads and exports: a private folder, swept as files age, and removed at the end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from mobilesam.web.server import storage as module
from mobilesam.web.server.replies import ExpiredError
from mobilesam.web.server.storage import (
    MAX_AGE_S,
    checked_upload,
    new_file,
    sweep,
    temporary_storage,
    upload_folder,
)


def aged(path: Path, seconds: float) -> Path:
    """A file or folder that was modified so many seconds ago."""
    path.parent.mkdir(exist_ok=True, parents=True)
    if not path.is_dir():
        path.write_bytes(b"photo")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_old_files_are_removed_and_new_ones_stay(tmp_path):
    old = aged(tmp_path / "a" / "old.png", MAX_AGE_S + 60)
    new = aged(tmp_path / "a" / "new.png", MAX_AGE_S - 60)
    deep = aged(tmp_path / "b" / "c" / "mask.png", MAX_AGE_S + 60)
    sweep(tmp_path)
    assert not old.exists()
    assert not deep.exists()
    assert new.exists()


def test_a_folder_is_removed_when_it_has_been_empty_for_long(tmp_path):
    for name in ("emptied", "fresh"):
        (tmp_path / name).mkdir()
    aged(tmp_path / "emptied", MAX_AGE_S + 60)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fresh"]
    aged(tmp_path, MAX_AGE_S + 60)
    sweep(tmp_path / "fresh", max_age_s=-1)
    assert (tmp_path / "fresh").exists()  # the folder itself is needed


def test_the_oldest_files_are_removed_first(tmp_path):
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
def test_uploads_are_in_a_private_folder_that_is_removed_at_the_end(tmp_path, monkeypatch, given):
    if given:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    else:
        monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    before = get_upload_folder()
    with temporary_storage():
        folder = Path(get_upload_folder())
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.is_relative_to(before) == given
        aged(folder / "a" / "photo.png", 0)
    assert not folder.exists()
    assert get_upload_folder() == before


def test_the_folder_is_swept_until_the_end(tmp_path, monkeypatch):
    swept, folders = threading.Event(), []

    def note(folder):
        folders.append(str(folder))
        swept.set()

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(module, "_SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(module, "sweep", note)
    others = threading.active_count()
    with temporary_storage():
        assert swept.wait(10)
        assert set(folders) == {get_upload_folder()}
        (sweeper,) = threading.enumerate()[others:]
    sweeper.join(10)
    assert not sweeper.is_alive()


def test_files_of_a_server_that_was_killed_are_swept_by_the_next_one(tmp_path, monkeypatch):
    """And nothing else in that folder, whoever named it like this."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(module, "_SWEEP_INTERVAL_S", 0.01)
    with temporary_storage() as folder:
        left = tmp_path / f"{module._PREFIX}killed"
        left.mkdir(0o700)
        assert folder.name.startswith(module._PREFIX)
        names = ("elsewhere", "mobilesam-checkout", f"{module._PREFIX}of-somebody")
        others = [tmp_path / name for name in names]
        for other in others:
            aged(other / "photo.png", MAX_AGE_S + 60)
        (tmp_path / f"{module._PREFIX}link").symlink_to(others[0])
        fresh = aged(left / "a" / "fresh.png", MAX_AGE_S - 60)
        old = aged(left / "b" / "old.png", MAX_AGE_S + 60)
        deadline = time.monotonic() + 10
        while old.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert not old.exists()
        assert fresh.exists()
        assert all((other / "photo.png").exists() for other in others)


@pytest.fixture
def uploads(tmp_path, monkeypatch) -> Path:
    """The upload folder, beside a file that is none of its own."""
    folder = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    aged(folder / "a" / "photo.png", 0)
    aged(tmp_path / "other.png", 0)
    return folder


def test_the_upload_folder_is_gradios(uploads):
    """Named by Gradio's `get_upload_folder`, which reads GRADIO_TEMP_DIR."""
    assert upload_folder() == Path(get_upload_folder()) == uploads


def test_an_upload_may_be_read(uploads):
    path = uploads / "a" / "photo.png"
    assert checked_upload(str(path)) == path
    assert checked_upload(f"{uploads}/a/../a/photo.png") == path


@pytest.mark.parametrize(
    "path", ["../other.png", "a", "", "missing.png", "/etc/passwd", "a\0b", "x" * 5000, "link.png"]
)
def test_any_other_path_is_refused(uploads, path):
    (uploads / "link.png").symlink_to(uploads.parent / "other.png")
    with pytest.raises(ExpiredError, match="Upload it"):
        checked_upload(str(uploads / path))


def test_a_new_file_has_a_secret_folder(uploads):
    path, other = (new_file(uploads, "photo.png", b"data") for _ in range(2))
    assert path.read_bytes() == b"data"
    assert (path.parent.parent, path.name) == (uploads, "photo.png")
    assert len(path.parent.name) == 48
    assert other.parent != path.parent


def test_no_file_is_stored_for_a_photo_that_was_closed_meanwhile(uploads):
    with pytest.raises(ExpiredError, match="no longer has this photo"):
        new_file(uploads / "closed", "cutout.png", b"data")
    assert not (uploads / "closed").exists()
