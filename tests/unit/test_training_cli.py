"""The commands of training: their help, and one sentence for each mistake."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mobilesam.cli.main import main


@pytest.fixture
def distill(monkeypatch, capsys, tmp_path, disc):
    """distill(*options) gives (status, stderr) in a folder with photos/0.png and 1.png."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)
    Path("photos").mkdir()
    Image.fromarray(disc).save("photos/0.png")
    Image.fromarray(disc[::-1]).save("photos/1.png")

    def run(*options, photos="photos", out="student.safetensors", teacher="bundled"):
        argv = f"distill --teacher {teacher} --photos {photos} --scheme decoupled --out {out}"
        argv += " --size 64 --batch 2 --steps 1"
        return main([*argv.split(), *options]), capsys.readouterr().err

    return run


@pytest.mark.slow
def test_it_says_what_happens_and_how_to_use_the_result(distill):
    Path("photos/broken.jpg").write_bytes(b"no photo")
    status, said = distill()
    assert status == 0
    skipped, photos, before, after, ready = said.splitlines()
    assert skipped.startswith("photos/broken.jpg is skipped: This file is not a photo")
    assert photos.startswith(
        "Photos: 1 to learn from, 1 to evaluate on, 1 that cannot be read. The teacher is MobileSAM"
    )
    assert before.startswith("After step 0: point_iou 0.")
    assert after.startswith("After step 1: point_iou 0.")
    out = Path("student.safetensors").resolve()
    assert ready.endswith(f"MOBILESAM_WEIGHTS={out} make run")
    assert out.is_file()
    assert Path("student.jsonl").is_file()
    assert not Path("student.safetensors.part").exists()


@pytest.mark.slow
def test_quiet_prints_nothing(distill):
    assert distill("--quiet") == (0, "")


@pytest.mark.slow
def test_an_existing_output_is_kept(distill):
    Path("student.safetensors").write_bytes(b"precious")
    status, said = distill()
    assert (status, said.count("\n")) == (1, 1)
    assert "exists and is not overwritten. Choose another name for --out." in said
    assert Path("student.safetensors").read_bytes() == b"precious"
    assert not Path("teacher-embeddings").exists()


def save_unknown():
    save_file({"weight": torch.zeros(1)}, "unknown.safetensors")
    return {"teacher": "unknown.safetensors"}


def save_no_photo():
    Path("empty").mkdir()
    return {"photos": "empty"}


def save_unreadable():
    Path("unreadable").mkdir()
    Path("unreadable/a.jpg").write_bytes(b"no photo")
    return {"photos": "unreadable"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (save_no_photo, "There are no photos in empty."),
        (lambda: {"photos": "absent"}, "The folder absent does not exist."),
        (save_unreadable, "None of the photos can be read."),
        (save_unknown, "unknown.safetensors cannot be used: "),
        (lambda: {"teacher": "absent.pt"}, "The weights absent.pt do not exist."),
        (lambda: {"out": "student.pt"}, "The output is a .safetensors file."),
        (lambda: {"out": "absent/a.safetensors"}, "absent does not exist. Create it first."),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_output(distill, prepare, sentence):
    status, said = distill(**prepare())
    assert status in (1, 2)
    assert sentence in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not list(Path().glob("**/student*"))


@pytest.mark.slow
def test_a_full_disk_keeps_the_embeddings_that_are_complete(distill, monkeypatch):
    write = os.fsync

    def full(descriptor):
        if list(Path("teacher-embeddings").rglob("*.npy")):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, said = distill()
    assert status == 1
    assert said.endswith("Free some space, then run the same command again.\n")
    assert said.count("\n") == 1
    assert len(list(Path("teacher-embeddings").rglob("*"))) == 2  # their folder and one of them
    assert distill()[0] == 0


def test_missing_packages_are_one_sentence(distill, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    status, said = distill()
    assert status == 1
    assert said == "Training needs more packages: pip install -r requirements-train.txt\n"


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_resume(distill, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilesam.training.distill.train", interrupt)
    status, said = distill()
    assert status == 130
    assert said.endswith("Run the same command again to resume.\nInterrupted.\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--batch", "0"], "argument --batch: it must be at least 1."),
        (["--steps", "many"], "argument --steps: 'many' is not a whole number."),
        (["--minutes", "-3"], "argument --minutes: '-3' is not a positive number."),
        (["--learning-rate", "nan"], "argument --learning-rate: 'nan' is not a positive number."),
        (["--scheme", "other"], "argument --scheme: invalid choice: 'other'"),
    ],
)
def test_an_impossible_option_is_one_sentence(distill, capsys, options, sentence):
    with pytest.raises(SystemExit):
        distill(*options)
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1
