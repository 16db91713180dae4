"""The stored cases of the page's tests are what the package answers today."""

from __future__ import annotations

import json

import numpy as np

from mobilesam.masks import mask_from_coco_rle
from tests.golden_answers import FILE, golden_answers

MAX_DIFFERENT_PX = 2  # OpenCV may round otherwise on another processor


def test_the_stored_answers_are_those_of_the_package():
    stored, made = json.loads(FILE.read_text(encoding="utf-8")), golden_answers()
    masks = zip(stored.pop("masks"), made.pop("masks"), strict=True)
    assert json.loads(json.dumps(made)) == stored, "Run `python -m tests.golden_answers`."
    for old, new in masks:
        height, width = size_hw = tuple(old["size"])
        for kind in ("mask", "cleaned"):
            rles = [{"size": [height, width], "counts": case[kind]} for case in (old, new)]
            first, second = (mask_from_coco_rle(rle, size_hw) for rle in rles)
            assert np.count_nonzero(first != second) <= MAX_DIFFERENT_PX
