"""A batch on a real Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.serving import ROOT, draw

pytest.importorskip("ray", reason="needs requirements-ray.txt, which takes 0.6 GB")
pytestmark = pytest.mark.slow


def batch(folder, out, *options):
    command = [sys.executable, "-m", "mobilesam", "batch", folder / "photos"]
    files = ["--prompts", folder / "prompts.jsonl", "--out", folder / out]
    return subprocess.run(
        [*command, *files, "--weights", "bundled", "--device", "cpu", *options],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_actors_give_the_masks_of_this_process_and_name_bad_photos(tmp_path):
    (tmp_path / "photos").mkdir()
    lines = []
    for number in range(10):
        path = tmp_path / "photos" / f"{number}.png"
        draw(width=280 + number).save(path)
        lines.append(json.dumps({"file": path.name, "points": [[90, 60, 1]]}) + "\n")
    (tmp_path / "photos" / "3.png").write_bytes(b"not a photo")
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    here, there = batch(tmp_path, "here.json"), batch(tmp_path, "there.json", "--ray")
    assert (here.returncode, there.returncode) == (1, 1), there.stderr
    assert "3.png: This file is not a photo that can be read" in there.stderr
    assert "there.json: 9 photos, 9 masks, bundled weights." in there.stderr
    found = [json.loads((tmp_path / name).read_text()) for name in ("here.json", "there.json")]
    assert found[0]["images"] == found[1]["images"]
    areas = [[item["area"] for item in coco["annotations"]] for coco in found]
    assert areas[0] == pytest.approx(areas[1], rel=0.02)


def test_a_model_that_actors_cannot_load_is_one_sentence(tmp_path):
    (tmp_path / "photos").mkdir()
    draw().save(tmp_path / "photos" / "0.png")
    (tmp_path / "prompts.jsonl").write_text('{"file": "0.png", "points": [[90, 60, 1]]}\n')
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    done = batch(tmp_path, "a.json", "--ray", "--weights", tmp_path / "broken.safetensors")
    assert done.returncode == 1
    assert "cannot work: broken.safetensors" in done.stderr
    assert "Traceback" not in done.stderr
