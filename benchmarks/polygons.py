"""Tolerance of polygons, vertices and IoU: `python -m benchmarks.polygons --json FILE`.

The masks are those of one click and of the box on each outlined object in the example photos
(tests/quality/expectations.json), with specks and holes and after clean-up.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import ROOT, iou
from mobilesam import Prompt, Segmenter, clean_mask
from mobilesam.masks import Mask, mask_from_coco_rle
from mobilesam.polygons import mask_outlines, rle_from_edges

TOLERANCES_PX = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def masks(segmenter: Segmenter) -> dict[str, list[Mask]]:
    """As predicted, and cleaned."""
    cases = json.loads((ROOT / "tests" / "quality" / "expectations.json").read_text())
    found: dict[str, list[Mask]] = {"as predicted": [], "after clean-up": []}
    for case in cases:
        embedding = segmenter.encode(ROOT / "examples" / case["photo"])
        for prompt in (Prompt([case["click"]], [1]), Prompt(box=case["box"])):
            prediction = segmenter.predict(embedding, prompt)
            mask = prediction.mask(prediction.best)
            found["as predicted"].append(mask)
            found["after clean-up"].append(clean_mask(mask, prompt))
    return found


def simplified(objects: Sequence[Mask], tolerance: float) -> dict[str, float]:
    """Vertices and IoU of the polygons of some masks, and the time that the slowest takes."""
    vertices, ious, times_ms = [], [], []
    for mask in objects:
        started = time.perf_counter()
        outlines = mask_outlines(mask, "edges", tolerance)
        times_ms.append(1000 * (time.perf_counter() - started))
        vertices.append(sum(map(len, outlines)))
        rle = rle_from_edges([xy.astype(float) for xy in outlines], mask.shape)
        ious.append(iou(mask_from_coco_rle(rle, mask.shape), mask))
    return {
        "tolerance_px": tolerance,
        "vertices_median": float(np.median(vertices)),
        "vertices_most": max(vertices),
        "iou_median": round(float(np.median(ious)), 4),
        "iou_lowest": round(min(ious), 4),
        "slowest_ms": round(max(times_ms)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        kind: [simplified(objects, tolerance) for tolerance in TOLERANCES_PX]
        for kind, objects in masks(Segmenter.from_weights("bundled")).items()
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
