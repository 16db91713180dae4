"""A folder of photos from the terminal: the file that it writes, bad photos and bad lines."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mobilesam import Prompt, clean_mask
from mobilesam.cli.journal import Journal
from tests.batch_driver import CheapSegmenter
from tests.batch_files import about, finished, save_photos, save_prompts
from tests.terminal import Terminal


@pytest.mark.slow
def test_the_coco_file_holds_the_masks_that_python_gives(run_batch, segmenter, stub_sam, draw_disc):
    Path("photos/more").mkdir(parents=True)
    for seed, file in enumerate(("b.png", "more/a.png")):
        Image.fromarray(draw_disc(seed)).save(f"photos/{file}")
    save_prompts(
        {"file": "more/a.png", "points": [[90, 60, 1], [20, 20, 0]], "name": "disc"},
        {"file": "b.png", "box": [60, 30, 120, 90]},
        "\n",
        {"file": "./more/a.png", "points": [[90, 60, 1]], "box": None, "name": "object"},
    )
    assert run_batch(segmenter)[0] == 0
    assert stub_sam.image_encoder.calls == 2
    assert not Path("a.json.part").exists()
    coco = COCO("a.json")
    assert [image["file_name"] for image in coco.dataset["images"]] == ["more/a.png", "b.png"]
    prompts = [
        ("more/a.png", "disc", Prompt([(90, 60), (20, 20)], [1, 0])),
        ("more/a.png", "object", Prompt([(90, 60)], [1])),
        ("b.png", "object", Prompt(box=(60, 30, 120, 90))),
    ]
    annotations = coco.loadAnns(coco.getAnnIds())
    for annotation, (file, name, prompt) in zip(annotations, prompts, strict=True):
        prediction = segmenter.predict(segmenter.encode(f"photos/{file}"), prompt)
        np.testing.assert_array_equal(coco.annToMask(annotation), prediction.mask(prediction.best))
        assert coco.loadImgs(annotation["image_id"])[0]["file_name"] == file
        assert coco.loadCats(annotation["category_id"])[0]["name"] == name
        assert annotation["area"] == coco_mask.area(annotation["segmentation"])
        assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
        assert annotation["score"] == annotation["predicted_iou"]
        assert annotation["score"] == pytest.approx(float(prediction.iou_predictions.max()))


def test_masks_are_cleaned_if_asked_and_others_are_not_taken_over(run_batch, segmenter, draw_disc):
    Path("photos").mkdir(exist_ok=True)
    Image.fromarray(draw_disc(1)).save("photos/a.png")
    box = (60, 30, 120, 90)
    save_prompts({"file": "a.png", "box": box})
    raw = segmenter.predict(segmenter.encode("photos/a.png"), Prompt(box=box)).mask(0)
    for more, mask in (([], raw), (["--clean"], clean_mask(raw, Prompt(box=box)))):
        assert run_batch(segmenter, *more)[0] == 0
        coco = COCO("a.json")
        np.testing.assert_array_equal(coco.annToMask(*coco.loadAnns(coco.getAnnIds())), mask)
    assert not np.array_equal(raw, mask)


def test_a_bad_photo_in_the_middle_is_named_and_the_rest_done(run_batch):
    save_photos(5)
    Path("photos/002.png").write_bytes(b"not a photo")
    Path("photos/003.png").unlink()
    save_prompts(*[about(number) for number in range(5)])
    status, said = run_batch(CheapSegmenter())
    assert status == 1
    first, second, last = said.splitlines()
    assert first.startswith("002.png: This file is not a photo that can be read")
    assert second == "003.png: The photo cannot be opened: No such file or directory."
    assert last == "a.json: 3 photos, 3 masks, custom weights."
    assert list(finished()) == ["000.png", "001.png", "004.png"]
    assert not Path("a.json.part").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json\n", "Line 2: The line is not valid JSON"),
        ("[" * 100_000 + "\n", "Line 2: The line is not valid JSON"),
        ("[1, 2]\n", "Line 2: The line must be an object"),
        ("9" * 9999 + "\n", "Line 2: The line "),
        ({"points": [[1, 1, 1]]}, "Line 2: file is missing"),
        ({"file": 5}, "Line 2: file must be text"),
        ({"file": "", "box": [1, 1, 9, 9]}, ".: The photo cannot be opened: it is not a file"),
        ({"file": "../secret.png", "box": [1, 1, 9, 9]}, "The photo is outside the folder"),
        ({"file": "a/../../secret.png", "box": [1, 1, 9, 9]}, "The photo is outside the folder"),
        ({"file": "/etc/secret.png", "box": [1, 1, 9, 9]}, "The photo is outside the folder"),
        ({"file": "link.png", "box": [1, 1, 9, 9]}, "link.png: The photo is outside the folder"),
        ({"file": "loop.png", "box": [1, 1, 9, 9]}, "loop.png: The photo"),
        ({"file": "pipe.png", "box": [1, 1, 9, 9]}, "pipe.png: The photo cannot be opened: it is"),
        ({"file": "a\0b", "box": [1, 1, 9, 9]}, "a\\x00b: The photo cannot be opened"),
        ({"file": "\ud800", "box": [1, 1, 9, 9]}, "Line 2: The line is not valid JSON"),
        ({"file": "n" * 5000, "box": [1, 1, 9, 9]}, "n: The photo cannot be opened"),
        ({"file": "x\x1b[2J\n", "box": [1, 1, 9, 9]}, "x\\x1b[2J\\n: The photo cannot be opened"),
        ({"file": "000.png"}, "000.png, line 2: Give at least one point or a box."),
        ({"file": "000.png", "boxes": [1]}, "Line 2: boxes is not a known field"),
        ({"file": "000.png", "points": [[1, 1]]}, "000.png, line 2: points[0] must be [x, y"),
        ({"file": "000.png", "points": [[1, 1, 7]]}, "000.png, line 2: points[0][2] must be 1"),
        ({"file": "000.png", "points": [["1", 1, 1]]}, "000.png, line 2: points[0][0] must be a"),
        ({"file": "000.png", "points": [[1, float("nan"), 1]]}, "line 2: points[0][1] must be a"),
        (
            {"file": "000.png", "points": [[1, 1, 1]] * 65},
            "000.png, line 2: points must have at most",
        ),
        ({"file": "000.png", "points": {}}, "000.png, line 2: points must be a list"),
        ({"file": "000.png", "points": [[99, 1, 1]]}, "000.png, line 2: The point (99, 1) is out"),
        ({"file": "000.png", "box": "all"}, "000.png, line 2: box must be [x0, y0"),
        (
            {"file": "000.png", "box": [1, 1, 9, 9], "name": ""},
            "000.png, line 2: Give the object a name.",
        ),
        (
            {"file": "000.png", "box": [1, 1, 9, 9], "name": 3},
            "Line 2: name must be text.",
        ),
        ({"file": "000.png", "points": [[15, 5, 1]]}, 'line 2: The mask of "object" is empty'),
    ],
    ids=lambda value: str(value)[:60].replace("\0", "NUL"),
)
def test_a_bad_line_is_named_and_the_rest_done(run_batch, line, message):
    save_photos(2)
    Image.new("RGB", (16, 16)).save("secret.png")
    Path("photos/link.png").symlink_to("../secret.png")
    Path("photos/loop.png").symlink_to("loop.png")
    os.mkfifo("photos/pipe.png")
    save_prompts(about(0), line, about(1))
    status, said = run_batch(CheapSegmenter())
    assert status == 1
    assert message in said
    assert said.count("\n") == 2
    assert {file: len(found) for file, found in finished().items()} == {"000.png": 1, "001.png": 1}


def test_prompts_saved_by_a_windows_editor_are_read(run_batch):
    save_photos(2)
    text = "".join(json.dumps(about(number)) + "\r\n" for number in range(2))
    Path("prompts.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert run_batch(CheapSegmenter())[0] == 0
    assert len(finished()) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32"])
def test_prompts_are_decoded_by_their_byte_order_mark(run_batch, encoding):
    """PowerShell's ">" writes UTF-16 with one."""
    save_photos(2)
    text = "".join(
        json.dumps(about(n, name="Kätzchen 猫"), ensure_ascii=False) + "\r\n" for n in (0, 1)
    )
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    Path("prompts.jsonl").write_bytes((mark + text).encode(encoding))
    assert run_batch(CheapSegmenter())[0] == 0
    assert {name for found in finished().values() for name, _ in found} == {"Kätzchen 猫"}


def test_damaged_utf_16_costs_only_its_line(run_batch):
    save_photos(2)
    lines = [json.dumps(about(number)) for number in (0, 1)]
    data = "\ufeff{}\n{}\n".format(*lines).encode("utf-16-le")
    Path("prompts.jsonl").write_bytes(data + b"\x00\xd8{")
    status, said = run_batch(CheapSegmenter())
    assert status == 1
    assert said.startswith("Line 3: The line is not valid JSON")
    assert len(finished()) == 2


def test_paths_of_windows_lead_to_the_photos(run_batch):
    save_photos(2, Path("photos"))
    Path("photos/inner").mkdir()
    Path("photos/000.png").rename("photos/inner/a b.png")
    Path("photos/001.png").rename("photos/odd\\name.png")
    rows = [
        {**about(0), "file": "inner\\a b.png"},
        {**about(0), "file": ".\\inner\\a b.png"},
        {**about(0), "file": "inner/a b.png"},
        {**about(0), "file": "odd\\name.png"},  # which a file on Linux can be called
    ]
    save_prompts(*rows)
    segmenter = CheapSegmenter()
    assert run_batch(segmenter)[0] == 0
    assert list(finished()) == ["inner/a b.png", "odd\\name.png"]
    assert len(segmenter.encoded) == 2


@pytest.mark.parametrize("file", ["..\\secret.png", "a\x00\\b.png", "no\\photo.png", "\\" * 5000])
def test_paths_of_windows_are_not_trusted_either(run_batch, file):
    save_photos(1)
    Image.new("RGB", (9, 9)).save("secret.png")
    save_prompts(about(0), {**about(0), "file": file})
    status, said = run_batch(CheapSegmenter())
    assert status == 1
    assert said.count("\n") == 2
    assert len(finished()) == 1


def test_several_photos_at_once_give_the_file_of_one_after_the_other(run_batch, monkeypatch):
    """The photos begin together and end in the reverse order; one of them is missing."""
    save_photos(7)
    Path("photos/002.png").unlink()
    save_prompts(*[about(number, x=3 + number % 3) for number in range(7)])
    one_by_one = run_batch(CheapSegmenter())
    expected = finished()
    segmenter = CheapSegmenter()
    together = threading.Barrier(3)
    encode = segmenter.encode

    def encode_together(path):
        if path.stem in ("000", "001", "003"):
            together.wait(30)
            time.sleep(0.05 * (3 - int(path.stem)))
        return encode(path)

    monkeypatch.setattr(segmenter, "encode", encode_together)
    monkeypatch.setattr(segmenter, "photos_at_once", 3)
    assert run_batch(segmenter) == one_by_one
    assert list(finished().items()) == list(expected.items())
    assert sorted(segmenter.encoded) == sorted(expected)


def test_a_full_disk_ends_the_run_with_one_sentence(run_batch, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    save_photos(4)
    save_prompts(*[about(number) for number in range(4)])
    segmenter = CheapSegmenter()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, said = run_batch(segmenter)
    assert status == 1
    assert "a.json.part cannot be written: No space left on device. Free some space" in said
    assert said.count("\n") == 1
    assert len(segmenter.encoded) == 1
    assert run_batch(CheapSegmenter())[0] == 0
    assert len(finished()) == 4


def test_two_runs_do_not_write_the_same_file(run_batch):
    save_photos(1)
    save_prompts(about(0))
    with Journal(Path("a.json.part")):
        status, said = run_batch(CheapSegmenter())
    assert status == 1
    assert "Another process is writing" in said
    assert run_batch(CheapSegmenter())[0] == 0


def test_progress_is_shown_on_a_terminal_only(run_batch, monkeypatch):
    save_photos(3)
    Path("photos/001.png").unlink()
    save_prompts(*[about(number) for number in range(3)])
    assert "photo/s" not in run_batch(CheapSegmenter())[1]
    for options, shown in (((), True), (("--quiet",), False)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", Terminal())
            run_batch(CheapSegmenter(), *options)
            said = sys.stderr.getvalue()
        assert ("3/3" in said) is shown
        assert any(part.startswith("001.png: ") for part in re.split(r"[\r\n]", said))
