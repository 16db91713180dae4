"""A folder of photos from the terminal: each photo once, whatever interrupts the run."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from mobilesam.cli.journal import Journal
from tests.batch_driver import CheapSegmenter
from tests.batch_files import about, finished, save_photos, save_prompts

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120


@pytest.mark.slow
def test_a_batch_killed_twice_does_every_photo_once(run_batch):
    save_photos(100)
    lines = [about(number) for number in range(100)]
    lines += [{"file": f"{number:03}.png", "box": [2, 2, 9, 9]} for number in range(0, 100, 4)]
    save_prompts(*lines)
    assert run_batch(CheapSegmenter())[0] == 0
    undisturbed = Path("a.json").read_bytes()
    Path("a.json").unlink()

    log, part = Path("log"), Path("a.json.part")
    argv = ["photos", "--prompts", "prompts.jsonl", "--out", "a.json"]

    def start(hold):
        return subprocess.Popen(
            [sys.executable, "-m", "tests.batch_driver", "log", str(hold), *argv],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
        )

    def lines_of(file):
        return file.read_bytes().splitlines(keepends=True) if file.exists() else []

    kept = []
    for _ in range(2):
        # Held some photos later, so that a slow machine kills it before its end too.
        photos = random.randint(10, 40)
        process = start(hold=photos + 10)
        deadline = time.monotonic() + WAIT_S
        while len(lines_of(part)) < len(kept) + photos and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.005))
        process.kill()
        assert process.wait() == -9
        assert process.stderr.read() == b""
        process.stderr.close()
        assert not Path("a.json").exists()
        kept = [json.loads(line) for line in lines_of(part) if line.endswith(b"\n")]
    before_the_last = len(lines_of(log))
    assert 20 <= len(kept) < 100
    # A kill costs at most the photo that was at work.
    assert len(kept) <= before_the_last <= len(kept) + 2

    last = start(hold=100)
    assert last.wait(WAIT_S) == 0
    last.stderr.close()
    assert Path("a.json").read_bytes() == undisturbed
    assert len(lines_of(log)) - before_the_last == 100 - len(kept)
    assert len(set(lines_of(log))) == 100
    assert sorted(os.listdir(".")) == ["a.json", "log", "photos", "prompts.jsonl"]


class Killed(BaseException):
    """Goes past every handler but `finally`, as near to a kill as a test comes in-process."""


def leave_part(run_batch, count, photos):
    """Breaks a batch off after some photos, and gives the finished lines."""

    class Broken(CheapSegmenter):
        def encode(self, path):
            if len(self.encoded) == photos:
                raise Killed
            return super().encode(path)

    save_photos(count)
    with pytest.raises(Killed):
        run_batch(Broken())
    return Path("a.json.part").read_bytes()


@pytest.mark.parametrize("torn", [1, 2, 40, "half", "no end", "garbage", "nothing"])
def test_a_torn_last_line_costs_its_photo_and_no_other(run_batch, torn):
    save_prompts(*[about(number) for number in range(5)])
    part = leave_part(run_batch, 5, 3)
    lines = part.splitlines(keepends=True)
    assert len(lines) == 3
    tail = {
        "half": lines[2][: len(lines[2]) // 2],
        "no end": lines[2][:-1],
        "garbage": b'\0\0\0\0\n"text"\n[1]\n{"key": []}\n{"key": [], "record": 1}\n{}\n',
        "nothing": b"",
    }.get(torn) or lines[2][: torn if isinstance(torn, int) else 0]
    Path("a.json.part").write_bytes(b"".join(lines[:2]) + tail)
    again = CheapSegmenter()
    assert run_batch(again)[0] == 0
    assert again.encoded == ["002.png", "003.png", "004.png"]
    resumed = Path("a.json").read_bytes()
    assert run_batch(CheapSegmenter())[0] == 0
    assert Path("a.json").read_bytes() == resumed


def test_after_a_torn_line_further_interruptions_lose_nothing(run_batch):
    save_prompts(*[about(number) for number in range(5)])
    Path("a.json.part").write_bytes(leave_part(run_batch, 5, 2) + b'{"key": "to')
    leave_part(run_batch, 5, 2)
    last = CheapSegmenter()
    assert run_batch(last)[0] == 0
    assert last.encoded == ["004.png"]
    assert len(finished()) == 5


def test_a_kill_after_the_coco_file_and_before_the_end_costs_nothing(run_batch, monkeypatch):
    def killed(self):
        raise Killed

    save_photos(3)
    save_prompts(*[about(number) for number in range(3)])
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", killed)
        with pytest.raises(Killed):
            run_batch(CheapSegmenter())
    before = Path("a.json").read_bytes()
    again = CheapSegmenter()
    assert run_batch(again)[0] == 0
    assert again.encoded == []
    assert Path("a.json").read_bytes() == before
    assert not Path("a.json.part").exists()


def test_what_has_changed_since_the_interruption_is_done_again_and_nothing_else(run_batch):
    lines = [about(number) for number in range(8)]
    save_prompts(*lines)
    leave_part(run_batch, 8, 7)
    lines[1] = about(1, x=9)
    lines[2] = about(2, name="other")
    lines.insert(4, about(3, x=8))
    Image.new("RGB", (16, 16), "white").save("photos/005.png")
    save_prompts(*lines)
    again = CheapSegmenter()
    assert run_batch(again)[0] == 0
    assert again.encoded == ["001.png", "002.png", "003.png", "005.png", "007.png"]
    resumed = Path("a.json").read_bytes()
    assert run_batch(CheapSegmenter())[0] == 0
    assert Path("a.json").read_bytes() == resumed


def test_masks_of_other_weights_are_not_taken_over(run_batch):
    save_prompts(*[about(number) for number in range(4)])
    leave_part(run_batch, 4, 3)
    other = CheapSegmenter(checkpoint="other")
    assert run_batch(other)[0] == 0
    assert len(other.encoded) == 4


def test_records_of_another_version_are_not_used(run_batch, monkeypatch):
    save_prompts(*[about(number) for number in range(4)])
    leave_part(run_batch, 4, 3)
    monkeypatch.setattr("mobilesam.cli.batch.__version__", "0")
    again = CheapSegmenter()
    assert run_batch(again)[0] == 0
    assert len(again.encoded) == 4


def test_the_errors_of_finished_photos_are_said_again_after_an_interruption(run_batch):
    save_prompts(about(0), about(0, x=99), about(1))
    leave_part(run_batch, 2, 1)
    again = CheapSegmenter()
    status, said = run_batch(again)
    assert status == 1
    assert said.startswith("000.png, line 2: The point (99, 5) is outside")
    assert again.encoded == ["001.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")])
def test_what_stops_the_run_keeps_the_finished_photos(run_batch, monkeypatch, error):
    save_photos(4)
    save_prompts(*[about(number) for number in range(4)])
    segmenter = CheapSegmenter()
    predict = segmenter.predict

    def fail_at_the_third(embedding, prompt):
        if len(segmenter.encoded) == 3:
            raise error
        return predict(embedding, prompt)

    monkeypatch.setattr(segmenter, "predict", fail_at_the_third)
    status, said = run_batch(segmenter)
    assert status == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert "Traceback" not in said
    assert not Path("a.json").exists()
    again = CheapSegmenter()
    assert run_batch(again)[0] == 0
    assert again.encoded == ["002.png", "003.png"]
