"""Data sets from the terminal: the job of an annotator in one command."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mobilesam.cli import commands
from mobilesam.cli.main import main
from tests.batch_driver import CheapSegmenter
from tests.shapes import ring

FORMATS = ("coco", "coco-polygons", "yolo", "labelme", "class-png")


@pytest.fixture
def batch(monkeypatch, capsys, tmp_path):
    """batch(*options) gives (status, stderr) for five photos with three objects of two classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)
    segmenter = CheapSegmenter()
    monkeypatch.setattr(commands, "load_segmenter", lambda args, settings: segmenter)
    Path("photos/more").mkdir(parents=True)
    lines = []
    for number in range(5):
        file = f"more/{number}.png" if number == 4 else f"{number}.png"
        mask = ring(np.random.default_rng(number), 60, 80)
        Image.fromarray((mask * 255).astype(np.uint8)).convert("RGB").save(f"photos/{file}")
        names = ["dog", "cat", "dog"] if number % 2 else ["cat", "dog", "cat"]
        lines += [{"file": file, "points": [[x, 5, 1]], "name": names[x]} for x in range(3)]
    Path("prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("names.txt").write_text("dog\ncat\n")

    def run(*options):
        argv = ["batch", "photos", "--prompts", "prompts.jsonl", "--quiet", *options]
        return main(argv), capsys.readouterr().err

    run.segmenter = segmenter
    return run


def unpacked(name="set.zip") -> Path:
    folder = Path(name).with_suffix("")
    with zipfile.ZipFile(name) as archive:
        archive.extractall(folder)
    return folder


def test_five_photos_become_a_data_set_for_yolo(batch):
    options = ["--format", "yolo", "--classes", "names.txt", "--split", "0.6,0.2,0.2", "--photos"]
    assert batch(*options, "--out", "set.zip") == (0, "")
    folder = unpacked()
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert data["names"] == {0: "dog", 1: "cat"}
    counts = {}
    for split in ("train", "val", "test"):
        photos = list((folder / data[split]).iterdir())
        counts[split] = len(photos)
        for photo in photos:
            original = next(Path("photos").rglob(photo.name))
            assert photo.read_bytes() == original.read_bytes()
            labels = (folder / "labels" / split / f"{photo.stem}.txt").read_text()
            ids = [int(line.split()[0]) for line in labels.splitlines()]
            assert ids == ([0, 1, 0] if int(photo.stem) % 2 else [1, 0, 1])
    assert counts == {"train": 3, "val": 1, "test": 1}
    assert not Path("set.zip.part").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_photos_and_all_objects(batch, name):
    assert batch("--format", name, "--photos", "--out", "set.zip") == (0, "")
    folder = unpacked()
    photos = [path for path in folder.rglob("*.png") if "masks" not in path.parts]
    assert sorted(photo.name for photo in photos) == [f"{number}.png" for number in range(5)]
    assert (folder / "classes.txt").read_text() == "cat\ndog\n"
    if name.startswith("coco"):
        coco = COCO(str(folder / "annotations" / "instances_train.json"))
        assert len(coco.anns) == 15
        assert {row["category_id"] for row in coco.anns.values()} == {1, 2}


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_prompts(batch):
    def parts(seed):
        assert (
            batch("--format", "yolo", "--split", "3,1,1", "--seed", seed, "--out", "set.zip")[0]
            == 0
        )
        with zipfile.ZipFile("set.zip") as archive:
            return {name for name in archive.namelist() if name.startswith("labels")}

    first = parts("1")
    lines = Path("prompts.jsonl").read_text().splitlines(keepends=True)
    Path("prompts.jsonl").write_text("".join(reversed(lines)))
    assert parts("1") == first
    assert any(parts(str(seed)) != first for seed in range(2, 6))


def test_the_list_fixes_the_ids_in_one_coco_file(batch):
    assert batch("--out", "a.json")[0] == 0
    plain = json.loads(Path("a.json").read_text())
    assert [one["name"] for one in plain["categories"]] == ["cat", "dog"]
    assert batch("--classes", "names.txt", "--out", "b.json")[0] == 0
    listed = json.loads(Path("b.json").read_text())
    assert [one["name"] for one in listed["categories"]] == ["dog", "cat"]
    for one, other in zip(plain["annotations"], listed["annotations"], strict=True):
        assert one.pop("category_id") == 3 - other.pop("category_id")
        assert one == other


def test_polygons_are_exact_or_within_the_tolerance(batch):
    assert batch("--out", "a.json")[0] == 0
    assert batch("--format", "coco-polygons", "--out", "b.json")[0] == 0
    assert batch("--format", "coco-polygons", "--tolerance", "1.5", "--out", "c.json")[0] == 0
    masks = [row["segmentation"] for row in json.loads(Path("a.json").read_text())["annotations"]]
    exact, shorter = COCO("b.json"), COCO("c.json")
    for number, rle in enumerate(masks, start=1):
        mask = coco_mask.decode(rle)
        assert np.array_equal(exact.annToMask(exact.anns[number]), mask)
        assert np.mean(shorter.annToMask(shorter.anns[number]) != mask) < 0.05
    sizes = [Path(name).stat().st_size for name in ("b.json", "c.json")]
    assert sizes[1] < sizes[0] / 2


def test_another_format_needs_no_second_encode(batch):
    """An interrupted batch resumes, whatever the format: the journal holds masks."""
    Path("prompts.jsonl").write_text(Path("prompts.jsonl").read_text() + '{"file": "0.png"}\n')
    assert batch("--format", "yolo", "--out", "set.zip")[0] == 1
    assert len(batch.segmenter.encoded) == 5
    assert Path("set.zip").is_file()


@pytest.mark.slow
def test_a_photo_that_polygons_do_not_fit_is_reported_and_the_others_are_written(batch):
    noise = (np.indices((1500, 1500)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(noise).convert("RGB").save("photos/1.png")
    for options in (
        ["--format", "yolo", "--out", "set.zip"],
        ["--format", "coco-polygons", "--out", "a.json"],
    ):
        status, errors = batch(*options)
        assert status == 1
        assert errors.startswith("1.png: These masks are too ragged")
        assert errors.count("\n") == 1
    with zipfile.ZipFile("set.zip") as archive:
        assert sum(name.startswith("labels") for name in archive.namelist()) == 4
    assert len(json.loads(Path("a.json").read_text())["images"]) == 4


def test_a_photo_that_vanishes_is_reported(batch, monkeypatch):
    original = commands.run_batch

    def run_batch(*args):
        done = original(*args)
        Path("photos/2.png").unlink()
        return done

    monkeypatch.setattr(commands, "run_batch", run_batch)
    status, errors = batch("--format", "labelme", "--photos", "--out", "set.zip")
    assert (status, errors.split(":")[0]) == (1, "2.png")
    with zipfile.ZipFile("set.zip") as archive:
        assert "train/1.json" in archive.namelist()
        assert "train/2.json" not in archive.namelist()


def test_equal_commands_write_equal_bytes(batch):
    options = ["--format", "coco", "--split", "1,1,1", "--photos", "--out"]
    assert batch(*options, "a.zip")[0] == batch(*options, "b.zip")[0] == 0
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "yolo", "--out", "a.json"], "The output is a .zip file"),
        (["--photos", "--out", "a.json"], "The output is a .zip file"),
        (["--split", "1,1,1", "--out", "a.json"], "The output is a .zip file"),
        (["--out", "a.txt"], "The output is a .json file"),
        (["--split", "0,0,0", "--out", "a.zip"], "at least one share above 0"),
        (["--split=-1,1,1", "--out", "a.zip"], "greater than or equal to 0"),
        (["--split", "nan,1,1", "--out", "a.zip"], "finite"),
        (["--seed", "-1", "--out", "a.zip"], "seed must"),
        (["--tolerance", "1000", "--out", "a.json"], "tolerance must"),
        (["--tolerance", "nan", "--out", "a.json"], "tolerance must"),
        (["--classes", "missing.txt", "--out", "a.json"], "cannot be read"),
        (["--classes", "photos", "--out", "a.json"], "cannot be read"),
        (["--classes", "twice.txt", "--out", "a.json"], "twice"),
        (["--classes", "ids.json", "--out", "ids.json"], "would overwrite"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_the_work(batch, options, message):
    Path("twice.txt").write_text("cat\ndog\ncat\n")
    Path("ids.json").write_text('{"categories": [{"id": 3, "name": "cat"}]}')
    status, errors = batch(*options)
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert not batch.segmenter.encoded


def test_a_share_that_is_no_number_is_refused_by_the_parser(batch, capsys):
    for text in ("1,2", "a,b,c", ""):
        with pytest.raises(SystemExit):
            batch("--split", text, "--out", "a.zip")
        assert "TRAIN,VAL,TEST as shares, such as 0.8,0.1,0.1" in capsys.readouterr().err
