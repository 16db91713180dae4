"""The commands finetune and evaluate: what they print and write, and sentences for mistakes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mobilesam.cli.main import main
from tests.training import SMALL, image, save_coco, save_dataset, save_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with photos, coco.json and random.safetensors."""
    folder = tmp_path_factory.mktemp("data")
    save_dataset(folder, 3)
    save_weights(folder / "random.safetensors")
    return folder


@pytest.fixture
def run(monkeypatch, capsys, data, tmp_path):
    """run(command, *options) gives (status, stdout, stderr) in a fresh folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)
    given = {"annotations": data / "coco.json", "photos": data / "photos"}
    given |= {"weights": data / "random.safetensors", "size": SMALL}

    def run_main(command, *options, **others):
        argv = [command]
        for name, value in {**given, **others}.items():
            argv += [f"--{name}", str(value)]
        try:
            status = main([*argv, *options])
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return run_main


@pytest.mark.slow
def test_a_model_is_fine_tuned_then_evaluated(run):
    status, table, said = run("finetune", "--steps", "2", out="mine.safetensors")
    assert status == 0
    assert said.startswith("Photos: 2 to learn from with 4 masks, 1 to evaluate on.\n")
    header, photos, masks, *rows = table.splitlines()
    assert header.split() == ["before", "after"]
    assert [photos.split(), masks.split()] == [["photos", "1", "1"], ["masks", "2", "2"]]
    assert len(rows) == 12
    assert not Path("mine.safetensors.part").exists()

    status, table, said = run(
        "evaluate", "--teacher", "mine.safetensors", weights="mine.safetensors", out="figures.json"
    )
    assert (status, said) == (0, "")
    header, photos, masks, *rows = table.splitlines()
    assert header.split() == ["custom"]
    assert [photos.split(), masks.split()] == [["photos", "3"], ["masks", "6"]]
    written = json.loads(Path("figures.json").read_text())
    figures = written.pop("figures")
    assert written == {"weights": "mine.safetensors", "size": SMALL}
    assert figures["teacher_iou_point"] == figures["teacher_iou_box"] == 1
    last = [f"{figures[name]:.3f}" for name in figures][-3:]
    assert [row.split()[-1] for row in rows[-3:]] == last


@pytest.mark.slow
def test_quiet_prints_nothing(run):
    assert run("finetune", "--quiet", "--steps", "1", out="mine.safetensors") == (0, "", "")
    assert run("evaluate", "--quiet", out="figures.json") == (0, "", "")
    assert Path("figures.json").is_file()


def no_coco():
    Path("other.json").write_text('{"shapes": []}')
    return {"annotations": "other.json"}


def no_masks():
    return {"annotations": save_coco(Path("empty.json"), [image(0, "0.png")], [])}


def unknown_weights():
    save_file({"weight": torch.zeros(1)}, "unknown.safetensors")
    return {"weights": "unknown.safetensors"}


@pytest.mark.parametrize("command", ["finetune", "evaluate"])
@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (no_coco, "other.json: This COCO file cannot be read: images is missing."),
        (no_masks, "has a mask in these annotations. Check that --photos"),
        (lambda: {"annotations": "absent.json"}, "absent.json cannot be read: No such file"),
        (lambda: {"photos": "absent"}, "The folder absent does not exist."),
        (lambda: {"weights": "absent.pt"}, "The weights absent.pt do not exist."),
        (unknown_weights, "unknown.safetensors cannot be used: it is neither"),
        (lambda: {"size": 100}, "The input size must be a multiple of 64 up to 1024, not 100."),
        (lambda: {"out": "mine.pt"}, "End the name after --out in ."),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_output(run, command, prepare, sentence):
    suffix = {"finetune": "safetensors", "evaluate": "json"}[command]
    status, out, said = run(command, **{"out": f"mine.{suffix}", **prepare()})
    assert status in (1, 2)
    assert out == ""
    assert sentence in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not list(Path().glob("mine*"))


def test_what_is_skipped_is_said_and_the_rest_is_used(run, data, monkeypatch):
    monkeypatch.setattr("mobilesam.training.evaluation.evaluate", lambda *_, **__: {"photos": 2.0})
    shutil.copytree(data / "photos", "photos")
    Path("photos/1.png").write_bytes(b"no photo")
    status, table, said = run("evaluate", photos="photos")
    assert status == 0
    assert said.startswith("1.png is skipped: This file is not a photo that can be read.")
    assert said.count("\n") == 1
    assert table.split() == ["custom", "photos", "2"]


def test_files_that_exist_are_kept(run, data):
    Path("mine.safetensors").write_bytes(b"precious")
    status, _, said = run("finetune", out="mine.safetensors")
    assert status == 1
    assert "exists and is not overwritten. Choose another name for --out." in said
    assert Path("mine.safetensors").read_bytes() == b"precious"
    shutil.copy(data / "coco.json", "one.json")
    shutil.copy(data / "coco.json", "two.json")
    status, _, said = run("evaluate", annotations="one.json", out="one.json")
    assert (status, "would overwrite one.json" in said) == (2, True)
    assert Path("one.json").read_bytes() == (data / "coco.json").read_bytes()


def test_too_many_held_out_photos_are_one_sentence(run):
    status, _, said = run("finetune", "--held-out", "3", out="mine.safetensors")
    assert status == 1
    assert said.startswith("Of 3 photos with masks, 3 are held out, so 0 are left to learn from.")


@pytest.mark.parametrize("command", ["finetune", "evaluate"])
def test_missing_packages_are_one_sentence(run, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    out = {"finetune": "mine.safetensors", "evaluate": "figures.json"}[command]
    status, _, said = run(command, out=out)
    assert status == 1
    assert said == "Training needs more packages: pip install -r requirements-train.txt\n"


@pytest.mark.slow
def test_an_interrupted_evaluation_does_not_promise_to_resume(run, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilesam.training.evaluation.evaluate", interrupt)
    assert run("evaluate") == (130, "", "Interrupted.\n")
    monkeypatch.setattr("mobilesam.training.finetune.evaluate", interrupt)
    status, _, said = run("finetune", out="mine.safetensors")
    assert status == 130
    assert said.endswith("Run the same command again to resume.\nInterrupted.\n")


@pytest.mark.parametrize(
    "options", [["--patience", "0"], ["--held-out", "0"], ["--batch", "x"], ["--steps", "-1"]]
)
def test_an_impossible_option_is_one_sentence(run, options):
    status, _, said = run("finetune", *options, out="mine.safetensors")
    assert status == 2
    assert said.startswith(f"argument {options[0]}: ")
    assert said.count("\n") == 1
