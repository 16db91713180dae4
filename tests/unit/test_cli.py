"""The terminal: what it understands, what it writes, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam import EverythingOptions, MobileSamError, Prompt, Segmenter, clean_mask
from mobilesam.cli import commands
from mobilesam.cli.main import main
from mobilesam.cli.parser import EVERYTHING_OPTIONS
from mobilesam.export import cutout_png
from mobilesam.images import open_photo
from mobilesam.web.app import serve_page
from tests.stub_options import KEEP_ALL
from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("segment", "everything", "batch", "distill", "finetune", "evaluate", "serve")
_ALL_HELP = f"""
import contextlib, io, sys, types
package = types.ModuleType("mobilesam")  # the package itself may import what it likes
package.__path__, package.__version__ = [{str(ROOT / "mobilesam")!r}], "0"
sys.modules["mobilesam"] = package
from mobilesam.cli.main import main
for argv in (["--help"], ["--version"], *([name, "--help"] for name in {COMMANDS})):
    try:
        main(argv)
    except SystemExit as end:
        assert end.code == 0, argv
print({{"torch", "numpy", "gradio", "PIL"}} & set(sys.modules))
"""


@pytest.fixture
def run(segmenter, monkeypatch, capsys, tmp_path):
    """run(*argv) gives (status, stderr); the model is the stub, the folder a fresh one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "load_segmenter", lambda args, settings: segmenter)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)

    def run_main(*argv):
        try:
            status = main([str(part) for part in argv])
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr().err

    return run_main


@pytest.fixture
def photo(disc, tmp_path) -> Path:
    Image.fromarray(disc).save(tmp_path / "disc.png")
    return tmp_path / "disc.png"


def shown_mask(path) -> np.ndarray:
    return np.array(Image.open(path)) > 127


def test_help_at_every_level_shows_examples_and_imports_nothing_heavy():
    shown = subprocess.run(
        [sys.executable, "-c", _ALL_HELP], capture_output=True, text=True, timeout=60, check=False
    )
    assert shown.stderr == ""
    assert shown.stdout.endswith("set()\n")
    for command in COMMANDS:
        assert f"example:\n  python -m mobilesam {command}" in shown.stdout or (
            f"    python -m mobilesam {command}" in shown.stdout
        )


@pytest.mark.slow
def test_the_real_program_says_one_sentence_and_no_traceback():
    argv = ["segment", "missing.jpg", "--point", "1,1", "--out", "missing.png"]
    failed = subprocess.run(
        [sys.executable, "-m", "mobilesam", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr == "missing.jpg: The photo cannot be opened: No such file or directory.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "status"),
    [
        ("segment missing.jpg --point 1,1 --out m.png", 1),
        ("segment disc.png --point 999,1 --out m.png", 1),
        ("segment disc.png --out m.png", 2),
        ("everything missing.jpg --out r.json", 1),
        ("everything disc.png --points-per-side 65 --out r.json", 2),
        ("batch missing --prompts p.jsonl --out a.json", 2),
        ("batch . --prompts missing.jsonl --out a.json", 2),
    ],
)
def test_what_is_wrong_is_said_before_torch_is_imported(photo, argv, status):
    """Importing it takes longer than finding out."""
    program = (
        "import sys; from mobilesam.cli.main import main; "
        f"print(main({argv.split()!r}), sorted({{'torch', 'timm', 'httpx'}} & set(sys.modules)))"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=photo.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.stdout == f"{status} []\n"
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("", "required: COMMAND"),
        ("cut", "invalid choice: 'cut'"),
        ("segment disc.png --point 1,1", "required: --out"),
        ("segment disc.png --out m.png", "Give --point X,Y or --box"),
        ("segment disc.png --out m.png --point 12", "'12' is not X,Y in pixels, such as 320,240"),
        ("segment disc.png --out m.png --point 1,2,3", "'1,2,3' is not X,Y"),
        ("segment disc.png --out m.png --point 1,nan", "must be a finite number"),
        ("segment disc.png --out m.png --point one,2", "'one,2' is not X,Y"),
        ("segment disc.png --out m.png --minus-point 1", "--minus-point: '1' is not X,Y"),
        ("segment disc.png --out m.png --box 1,2,3", "'1,2,3' is not X0,Y0,X1,Y1"),
        ("segment disc.png --out m.png --box 5,5,5,9", "The box is empty"),
        ("segment disc.png --out m.png --point 1,1 --candidate 4", "invalid choice: '4'"),
        ("segment disc.png --out m.png --point 1,1 --format gif", "invalid choice: 'gif'"),
        ("segment disc.png --out m.png --poi 1,1", "unrecognized arguments: --poi"),
        ("segment disc.png --out m.jpg --point 1,1", "a .png file"),
        ("segment disc.png --out m.png --format coco --point 1,1", "a .json file"),
        ("segment disc.png --out /dev/stdout --point 1,1", "a .png file"),
        ("segment disc.png --out no/m.png --point 1,1", "no does not exist. Create it first"),
        ("segment disc.png --out disc.png --point 1,1", "would overwrite disc.png"),
        ("segment disc.png --out folder.png --point 1,1", "is not a file"),
        ("everything disc.png --out r.json --points-per-side few", "invalid int value: 'few'"),
        ("everything disc.png --out r.json --points-per-side 65", "from 1 to 64"),
        ("everything disc.png --out r.json --pred-iou-thresh 1.5", "from 0 to 1"),
        ("everything disc.png --out r.json --min-mask-region-area 1.5", "invalid int value: '1.5'"),
        ("everything disc.png --out r.json --min-mask-region-area 9999999", "from 0 to 1,000,000"),
        ("everything disc.png --out r.json --box-nms-thresh inf", "box_nms_thresh must be"),
        ("batch . --prompts none.jsonl --out a.json", "none.jsonl cannot be read"),
        ("batch none --prompts p.jsonl --out a.json", "The folder none does not exist"),
        ("batch . --prompts blank.jsonl --out a.json", "There are no prompts in blank.jsonl"),
        ("batch . --prompts p.json --out p.json", "would overwrite p.json"),
        ("serve --port 0", "'0' is not a port"),
        ("serve --port 99999", "'99999' is not a port"),
        ("serve --port http", "'http' is not a port"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_status_2(run, photo, argv, message):
    Path("folder.png").mkdir()
    Path("blank.jsonl").write_text("\n \n")
    Path("p.json").write_text('{"file": "disc.png", "box": [1, 1, 9, 9]}\n')
    before = sorted(os.listdir("."))
    status, said = run(*argv.split())
    assert status == 2
    assert message in said
    assert said.count("\n") == 1
    assert sorted(os.listdir(".")) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("segment none.png --out m.png --point 1,1", "cannot be opened"),
        ("segment text.png --out m.png --point 1,1", "not a photo"),
        ("segment disc.png --out m.png --point 181,1", "The point (181, 1) is outside"),
        ("segment disc.png --out m.png --box 1,1,181,9", "is outside the 180 x 120 photo"),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_1(run, photo, argv, message):
    Path("text.png").write_text("not a photo")
    status, said = run(*argv.split())
    assert status == 1
    assert message in said
    assert said.count("\n") == 1
    assert not Path("m.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "prompt"),
    [
        ("--point 90,60", Prompt([(90, 60)], [1])),
        ("--minus-point 20,20 --point 90,60", Prompt([(90, 60), (20, 20)], [1, 0])),
        ("--point 90,60 --point 95.5,60", Prompt([(90, 60), (95.5, 60)], [1, 1])),
        ("--box 120,90,60,30", Prompt(box=(60, 30, 120, 90))),
        ("--box 60,30,120,90 --point 90,60", Prompt([(90, 60)], [1], (60, 30, 120, 90))),
    ],
)
def test_segment_writes_the_mask_that_python_gives(run, photo, segmenter, argv, prompt):
    assert run("segment", photo, *argv.split(), "--out", "mask.png")[0] == 0
    prediction = segmenter.predict(segmenter.encode(photo), prompt)
    mask = prediction.masks[prediction.best]
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(shown_mask("mask.png"), mask)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["--point 90,60", "--box 60,30,120,90"])
@pytest.mark.parametrize("candidate", [1, 2, 3])
def test_a_candidate_is_one_of_three_also_for_a_box(run, photo, segmenter, place, candidate):
    args = (*place.split(), "--candidate", candidate, "--out", "mask.png")
    assert run("segment", photo, *args)[0] == 0
    prompt = Prompt([(90, 60)], [1]) if "point" in place else Prompt(box=(60, 30, 120, 90))
    masks = segmenter.predict(segmenter.encode(photo), prompt, multimask_output=True).masks
    equal = [np.array_equal(shown_mask("mask.png"), mask) for mask in masks]
    assert equal == [number == candidate for number in (1, 2, 3)]


def test_segment_cleans_the_mask_if_asked(run, photo, segmenter):
    place = "--box=60,30,120,90"
    prompt = Prompt(box=(60, 30, 120, 90))
    raw = segmenter.predict(segmenter.encode(photo), prompt).mask(0)
    for more, mask in (([], raw), (["--clean"], clean_mask(raw, prompt))):
        assert run("segment", photo, place, *more, "--out=m.png")[0] == 0
        np.testing.assert_array_equal(shown_mask("m.png"), mask)
    assert not np.array_equal(raw, mask)


def test_segment_cuts_out(run, photo, segmenter):
    assert run("segment", photo, "--point=90,60", "--format=cutout", "--out=c.png")[0] == 0
    prediction = segmenter.predict(segmenter.encode(photo), Prompt([(90, 60)], [1]))
    expected = cutout_png(open_photo(photo), prediction.masks[prediction.best])
    assert Path("c.png").read_bytes() == expected
    soft = ("--format=cutout", "--edges=soft", "--out=s.png")
    assert run("segment", photo, "--point=90,60", *soft)[0] == 0
    expected = cutout_png(open_photo(photo), prediction.masks[prediction.best], soft=True)
    assert Path("s.png").read_bytes() == expected


def test_segment_writes_coco(run, photo, segmenter):
    assert run("segment", photo, "--point=90,60", "--format=coco", "--out=c.json")[0] == 0
    coco = json.loads(Path("c.json").read_text())
    (annotation,) = coco["annotations"]
    prediction = segmenter.predict(segmenter.encode(photo), Prompt([(90, 60)], [1]))
    mask = prediction.masks[prediction.best]
    np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), mask)
    assert coco["images"] == [{"id": 1, "file_name": "disc.png", "width": 180, "height": 120}]
    assert coco["categories"] == [{"id": 1, "name": "object", "supercategory": ""}]
    assert annotation["predicted_iou"] == pytest.approx(float(prediction.iou_predictions.max()))
    assert annotation["score"] == annotation["predicted_iou"]


@pytest.mark.slow
def test_everything_writes_the_regions_that_python_gives(run, photo, segmenter):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in KEEP_ALL.items()]
    args = ["everything", photo, "--points-per-side", "3", "--out", "r.json"]
    assert run(*args, *options)[0] == 0
    records = segmenter.everything(segmenter.encode(photo), 3, **KEEP_ALL)
    found = json.loads(Path("r.json").read_text())["annotations"]
    assert len(found) == len(records) > 1
    for annotation, record in zip(found, records, strict=True):
        np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), record.mask)
        assert annotation["predicted_iou"] == pytest.approx(record.predicted_iou)
        assert annotation["stability_score"] == pytest.approx(record.stability_score)


@pytest.mark.parametrize("kind", ["official", "bundled"])
def test_everything_takes_the_defaults_that_suit_the_weights(
    run, photo, segmenter, monkeypatch, kind
):
    asked = []

    def iter_everything(embedding, options):
        asked.append(options)
        yield SimpleNamespace(done=9, records=[])

    monkeypatch.setattr(segmenter, "weights", replace(segmenter.weights, kind=kind))
    monkeypatch.setattr(segmenter, "iter_everything", iter_everything)
    given = ("--box-nms-thresh=0.5", "--min-mask-region-area=9", "--points-per-side=3")
    status, said = run("everything", photo, *given, "--out", "r.json")
    own = {"box_nms_thresh": 0.5, "min_mask_region_area": 9, "points_per_side": 3}
    assert (status, asked) == (0, [EverythingOptions.for_weights(kind, own)])
    assert "a lower --pred-iou-thresh keeps more" in said


def test_everything_shows_its_progress_on_a_terminal_only(run, photo, segmenter, monkeypatch):
    def iter_everything(embedding, options):
        for done in (16, 25):
            yield SimpleNamespace(done=done, records=[])

    monkeypatch.setattr(segmenter, "iter_everything", iter_everything)
    args = ("everything", photo, "--points-per-side", "5", "--out", "r.json")
    assert "point/s" not in run(*args)[1]
    for more, shown in (((), True), (("--quiet",), False)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", Terminal())
            run(*args, *more)
            told = sys.stderr.getvalue()
        assert ("| 25/25 [" in told) is shown


def test_the_help_of_everything_has_every_option_and_its_defaults():
    assert list(EVERYTHING_OPTIONS) == [setting.name for setting in fields(EverythingOptions)]
    bundled = asdict(EverythingOptions.for_weights("bundled", {}))
    for name, usual in asdict(EverythingOptions()).items():
        told = f"(default: {usual:g}"
        if bundled[name] != usual:
            told += f"; {bundled[name]:g} with the bundled weights"
        assert EVERYTHING_OPTIONS[name].endswith(f"{told})")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(run, photo, monkeypatch):
    Path("mask.png").write_text("old")
    before = sorted(os.listdir("."))

    def fail(*args):
        raise OSError(28, "No space left on device")

    for function in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            status, said = run("segment", photo, "--point=90,60", "--out=mask.png")
        assert status == 1
        assert "mask.png cannot be written: No space left on device. Free some space" in said
        assert Path("mask.png").read_text() == "old"
        assert sorted(os.listdir(".")) == before


def test_a_link_is_kept_and_what_it_leads_to_replaced(run, photo):
    Path("real.png").write_text("old")
    Path("link.png").symlink_to("real.png")
    assert run("segment", photo, "--point=90,60", "--out=link.png")[0] == 0
    assert Path("link.png").is_symlink()
    assert shown_mask("real.png").shape == (120, 180)


def test_quiet_says_nothing_of_a_success(run, photo):
    assert run("segment", photo, "--point=90,60", "--out=mask.png", "--quiet") == (0, "")
    assert "of the photo, predicted IoU" in run("segment", photo, "--point=9,6", "--out=m.png")[1]


def test_an_unexpected_error_and_an_interruption_have_one_line_and_a_status(
    run, photo, segmenter, monkeypatch
):
    def fail(kind):
        def encode(image):
            raise kind("one\ntwo")

        monkeypatch.setattr(segmenter, "encode", encode)
        return run("segment", photo, "--point=90,60", "--out=mask.png")

    status, said = fail(RuntimeError)
    assert status == 1
    assert "RuntimeError: one\\ntwo" in said
    assert said.count("\n") == 1
    assert fail(KeyboardInterrupt) == (130, "Interrupted.\n")


def test_weights_and_device_reach_the_model(photo, monkeypatch, tmp_path, capsys, segmenter):
    asked = []

    def from_weights(*args):
        asked.append(args[:2])
        return segmenter

    monkeypatch.setattr(Segmenter, "from_weights", from_weights)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)
    argv = ["segment", str(photo), "--point=9,9", "--out", str(tmp_path / "m.png")]
    assert main([*argv, "--weights", "mine.pt", "--device", "cpu"]) == main(argv) == 0
    assert asked == [("mine.pt", "cpu"), (None, None)]


def test_serve_starts_the_page_that_app_starts(run, monkeypatch):
    asked = []
    monkeypatch.setattr("mobilesam.web.app.serve_page", lambda *args: asked.append(args))
    argv = [
        "--weights",
        "bundled",
        "--device",
        "cpu",
        "--host",
        "0.0.0.0",
        "--port",
        "8080",
        "--mcp",
    ]
    assert run("serve", *argv)[0] == run("serve")[0] == 0
    assert asked == [
        ("bundled", "cpu", "0.0.0.0", 8080, True),
        (None, None, None, None, False),
    ]


def test_a_port_that_is_taken_is_said_in_a_sentence(monkeypatch):
    asked = {}

    class Page:
        def launch(self, **options):
            asked.update(options)
            raise OSError("Cannot find empty port in range: 80-80")  # as Gradio does

    monkeypatch.setattr("mobilesam.web.app.tune_process", lambda: None)
    monkeypatch.setattr("mobilesam.web.blocks.build_demo", lambda *_: Page())
    with pytest.raises(MobileSamError, match="Choose a free port"):
        serve_page(host="127.0.0.1", port=80)
    assert (asked["server_name"], asked["server_port"]) == ("127.0.0.1", 80)
