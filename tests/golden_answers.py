"""What Python makes of some logits and interactions, for the tests of the page's own decoding.

`python -m tests.golden_answers` writes it to tests/js/golden_answers.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilesam.candidates import candidate_scores, confidence
from mobilesam.cleanup import clean_mask
from mobilesam.frame import Frame
from mobilesam.images import scaled_size
from mobilesam.interactions import parse_interactions, replay
from mobilesam.masks import Mask, mask_to_coco_rle
from mobilesam.predict import Prediction
from mobilesam.prompts import Prompt

FILE = Path(__file__).parent / "js" / "golden_answers.json"
SIZES_HW = [(200, 300), (683, 1024), (600, 401), (64, 64), (1, 500)]  # of photos
SIDES = (96, 333, 1024)  # the longest of the masks
WEIGHT = 0.25  # of the confidence, with the bundled weights
POINTS = [(0.45, 0.5, 1), (0.85, 0.2, 1), (0.5, 0.35, 0), (0.02, 0.98, 0)]  # shares of the photo
POINT, OTHER = ({"type": "point", "x": 90, "y": 100, "label": label} for label in (1, 0))
BOX = {"type": "box", "box": [30, 40, 151, 161]}
LOGS = [
    [POINT],
    [OTHER],
    [POINT, OTHER],
    [POINT, {"type": "candidate", "index": 2}, OTHER, POINT],
    [BOX],
    [BOX, OTHER],
    [POINT, OTHER, BOX],
    [POINT, BOX, {"type": "candidate", "index": 0}, POINT],
    [BOX, POINT, BOX, POINT],
]


def logits_of(seed: int) -> NDArray[np.float32]:
    """Discs, a ring, specks and holes as (256, 256) logits, as in tests/js/answers.test.js."""
    y, x = np.mgrid[:256, :256].astype(np.float64)
    large = 60 - np.hypot(x - 110 - seed, y - 90)
    ring = 8 - np.abs(np.hypot(x - 200, y - 60) - 24)
    speck = 3 - np.hypot(x - 20, y - 30 - seed)
    hole = np.hypot(x - 120, y - 70) - 3
    big_hole = np.hypot(x - 90, y - 110) - 14
    noise = ((x * 73 + y * 151 + seed * 31) % 97 - 48) / 24
    shape = np.maximum(np.minimum(large, np.minimum(hole, big_hole)), np.maximum(ring, speck))
    return (shape / (1 + seed) + noise * (0.3 + 0.4 * seed)).astype(np.float32)


def _masks(size_hw: tuple[int, int]) -> list[dict[str, Any]]:
    """Masks of one photo at several sizes, raw and cleaned."""
    height, width = size_hw
    frame = Frame.of(size_hw, 1024, None)
    prompt = Prompt([(x * width, y * height) for x, y, _ in POINTS], [one for *_, one in POINTS])
    cases = []
    for seed in (0, 2):
        prediction = Prediction(logits_of(seed)[None], np.ones(1, np.float32), frame, 0.0)
        for side in SIDES:
            shown_hw = scaled_size(size_hw, min(side, max(size_hw)))
            mask = prediction.mask(0, shown_hw)
            cases.append(
                {
                    "photo": [height, width],
                    "input_size": list(frame.input_size),
                    "seed": seed,
                    "size": list(shown_hw),
                    "mask": mask_to_coco_rle(mask)["counts"],
                    "cleaned": mask_to_coco_rle(clean_mask(mask, prompt, size_hw))["counts"],
                }
            )
    return cases


def _parts_and_holes() -> Mask:
    """A part of 6,000 pixels: specks have less than 120 pixels, small holes less than 60."""
    mask = np.zeros((140, 180), np.bool_)
    mask[10:70, 10:110] = True
    for y, x, height, width in ((90, 10, 7, 17), (90, 40, 8, 15), (110, 10, 5, 5), (110, 40, 5, 5)):
        mask[y : y + height, x : x + width] = True  # 119 and 120 pixels, and two of 25
    mask[70:74, 110:153] = True  # joined by a corner
    for y, x, height, width in ((15, 20, 1, 59), (20, 20, 6, 10), (40, 20, 5, 5), (40, 60, 5, 5)):
        mask[y : y + height, x : x + width] = False
    mask[10:12, 100] = mask[12, 101] = False  # a notch, and a hole at its corner
    return mask


def _cleanups() -> list[dict[str, Any]]:
    """Parts and holes of the sizes that matter, with points at them and near them."""
    notched = np.ones((600, 600), np.bool_)
    notched[:3, 300:303] = False  # so little background that its area alone would have it filled
    object_xy, speck_xy, hole_xy = (
        (50, 60, 1),
        (15, 115, 1),
        (25, 45, 0),
    )  # one pixel off by a corner
    points = [object_xy, speck_xy, hole_xy, (47, 117, 1), (63, 47, 0), (170, 5, 1), (5, 130, 0)]
    cases = []
    for mask, scale in ((_parts_and_holes(), 1), (_parts_and_holes(), 3), (notched, 1)):
        for chosen in ([], [object_xy], [speck_xy], [object_xy, (39, 109, 1)], points[:3], points):
            size_hw = (mask.shape[0] * scale, mask.shape[1] * scale)
            placed = [(x * scale, y * scale, label) for x, y, label in chosen]
            prompt = Prompt([(x, y) for x, y, _ in placed], [label for *_, label in placed])
            cases.append(
                {
                    "size": list(mask.shape),
                    "photo": list(size_hw),
                    "points": placed,
                    "mask": mask_to_coco_rle(mask)["counts"],
                    "cleaned": mask_to_coco_rle(clean_mask(mask, prompt, size_hw))["counts"],
                }
            )
    return cases


def _replay(log: list[dict[str, Any]]) -> dict[str, Any]:
    """What is decoded for a log, one after the other."""
    frame = Frame.of((200, 300), 1024, None)
    steps = replay(parse_interactions(log), frame)
    decoded: list[dict[str, Any]] = []
    try:
        _, answer = next(steps)
        while True:
            prompt, refined = answer.prompt, answer.mask_input
            is_multimask = refined is None and prompt.is_single_point
            count = 3 if is_multimask else 1
            # Each mask is a constant that says which it is: ten times the step plus its index.
            constants = 10 * len(decoded) + np.arange(count, dtype=np.float32)
            logits = np.broadcast_to(constants[:, None, None], (count, 256, 256))
            ious = np.array([0.5, 0.9, 0.7][:count], np.float32)
            corners = [] if prompt.box is None else np.reshape(prompt.box, (2, 2)).tolist()
            decoded.append(
                {
                    "points": frame.to_input([*prompt.point_coords, *corners]).tolist(),
                    "labels": [*prompt.point_labels, *([2, 3] if corners else [])],
                    "mask_input": None if refined is None else float(refined[0, 0, 0]),
                    "masks": count,
                }
            )
            _, answer = steps.send(Prediction(logits, ious, frame, 0.0))
    except StopIteration as end:
        chosen = float(end.value.prediction.low_res_logits[end.value.index, 0, 0])
        return {"interactions": log, "decoded": decoded, "chosen": chosen}


def golden_answers() -> dict[str, Any]:
    """All cases."""
    candidates = np.stack([logits_of(seed) for seed in range(3)])
    ious = np.array([0.8, 0.81, 0.9], np.float32)
    scores = {weight: candidate_scores(candidates, ious, weight) for weight in (0.0, WEIGHT, 2.0)}
    return {
        "points": POINTS,
        "masks": [case for size_hw in SIZES_HW for case in _masks(size_hw)],
        "cleanups": _cleanups(),
        "confidences": [round(confidence(logits), 6) for logits in candidates],
        "ious": [0.8, 0.81, 0.9],
        "best": [[weight, int(rated.argmax())] for weight, rated in scores.items()],
        "replays": [_replay(log) for log in LOGS],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(golden_answers()).replace("}, {", "},\n{") + "\n", encoding="utf-8")
