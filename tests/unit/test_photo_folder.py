"""Where `batch` reads photos: folders of this machine and of object stores."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mobilesam.cli import commands
from mobilesam.cli.main import main
from mobilesam.cli.output import UsageError
from mobilesam.cli.photo_folder import LocalFolder, RemoteFolder, photo_folder
from mobilesam.errors import ImageError
from tests.batch_driver import CheapSegmenter
from tests.unit.test_cli_batch import about, finished, save_photos, save_prompts


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Three photos in an object store in memory, under memory://bucket/photos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)
    files = MemoryFileSystem()
    save_photos(3)
    for path in Path("photos").iterdir():
        files.pipe(f"/bucket/photos/{path.name}", path.read_bytes())
    yield files
    files.rm("/bucket", recursive=True)


def batch(monkeypatch, folder, *options, out="a.json", segmenter=None):
    chosen = segmenter or CheapSegmenter()
    monkeypatch.setattr(commands, "load_segmenter", lambda args, settings: chosen)
    argv = ["batch", folder, "--prompts", "prompts.jsonl", "--out", out, "--quiet", *options]
    return main(argv)


def test_photos_of_an_object_store_have_the_masks_of_local_ones(store, monkeypatch):
    save_prompts(*[about(number) for number in range(3)])
    assert batch(monkeypatch, "photos") == 0
    local = finished()
    assert batch(monkeypatch, "memory://bucket/photos") == 0
    assert finished() == local
    assert all(local.values())


def test_a_data_set_copies_photos_of_an_object_store(store, monkeypatch):
    save_prompts(*[about(number) for number in range(3)])
    options = ["--format", "yolo", "--photos"]
    assert batch(monkeypatch, "memory://bucket/photos/", *options, out="set.zip") == 0
    with zipfile.ZipFile("set.zip") as archive:
        for number in range(3):
            copied = archive.read(f"images/train/{number:03}.png")
            assert copied == Path(f"photos/{number:03}.png").read_bytes()


def test_a_run_on_an_object_store_resumes_and_sees_what_has_changed(store, monkeypatch):
    save_prompts(*[about(number) for number in range(3)])

    class Full(CheapSegmenter):
        def predict(self, embedding, prompt):
            if len(self.encoded) == 3:
                raise RuntimeError
            return super().predict(embedding, prompt)

    assert batch(monkeypatch, "memory://bucket/photos", segmenter=Full()) == 1
    assert len(Path("a.json.part").read_text().splitlines()) == 2
    store.pipe("/bucket/photos/001.png", Path("photos/000.png").read_bytes())
    again = CheapSegmenter()
    assert batch(monkeypatch, "memory://bucket/photos", segmenter=again) == 0
    assert len(again.encoded) == 2


@pytest.mark.parametrize("file", ["../secret.png", "/bucket/secret.png", "a/../../secret.png"])
def test_only_files_in_the_folder_are_read(store, file):
    store.pipe("/bucket/secret.png", b"secret")
    folder = photo_folder("memory://bucket/photos")
    with (
        pytest.raises(ImageError, match="outside the folder"),
        folder.local_path(file, 1000),
    ):
        pass
    assert folder.version(file) == []


def test_a_photo_that_is_missing_or_too_large_is_one_sentence(store, monkeypatch, capsys):
    monkeypatch.setenv("MOBILESAM_MAX_UPLOAD_MB", "0.0001")
    store.pipe("/bucket/photos/large.png", bytes(200))
    lines = [{"file": file, "box": [1, 1, 9, 9]} for file in ("none.png", "large.png")]
    save_prompts(*lines)
    segmenter = CheapSegmenter()
    segmenter.settings = commands.Settings.from_env()
    read = CheapSegmenter.encode

    def encode(path):
        assert path.stat().st_size == 101  # of a file of any size, what tells that it is too large
        segmenter.encode = read
        return commands.open_photo(path, segmenter.settings.limits)

    segmenter.encode = encode
    assert batch(monkeypatch, "memory://bucket/photos", segmenter=segmenter) == 1
    assert capsys.readouterr().err.splitlines() == [
        "none.png: The photo cannot be opened: No such file or directory.",
        "large.png: The file is larger than 0.0001 MB. Use a smaller photo.",
    ]


def test_paths_of_windows_lead_to_objects(store, monkeypatch):
    store.pipe("/bucket/photos/inner/a.png", Path("photos/000.png").read_bytes())
    save_prompts({**about(0), "file": "inner\\a.png"})
    assert batch(monkeypatch, "memory://bucket/photos") == 0
    assert list(finished()) == ["inner/a.png"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://bucket/nowhere", "The folder memory://bucket/nowhere does not exist."),
        ("nosuch://bucket", "The folder nosuch://bucket cannot be read: Protocol not known"),
        ("s3://bucket", "s3:// cannot be read here. Install s3fs to access S3"),
        ("nowhere", "The folder nowhere does not exist."),
    ],
)
def test_an_address_that_cannot_be_read_is_one_sentence(store, monkeypatch, address, message):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError) as caught:
        photo_folder(address)
    assert str(caught.value).startswith(message)


def test_without_fsspec_an_address_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"pip install -r requirements-ray\.txt"):
        photo_folder("memory://bucket")


def test_an_address_of_a_local_folder_is_the_folder(store, tmp_path):
    folder = photo_folder(f"file://{tmp_path}/photos")
    assert isinstance(folder, LocalFolder)
    assert folder.version("000.png") == LocalFolder(Path("photos")).version("000.png") != []
    assert isinstance(photo_folder("memory://bucket"), RemoteFolder)


def test_journals_tell_versions_of_objects_apart(store):
    folder = photo_folder("memory://bucket/photos")
    before = folder.version("000.png")
    assert before == folder.version("000.png")
    store.pipe("/bucket/photos/000.png", b"other")
    assert folder.version("000.png") != before
    assert json.dumps(before)
