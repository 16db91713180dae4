"""Edges of cut-outs compared with a known alpha: `python -m benchmarks.edges --json FILE`.

Three objects with a known alpha are put on example photos, cut out by the mask of that alpha, and
compared with the truth in the pixels near the edge. Also the time at 12 and 40 megapixels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import ROOT, filled
from mobilesam.export.soft_edges import foreground_colours, soft_alpha
from mobilesam.images import open_photo
from mobilesam.masks import Mask

Floats = NDArray[np.float32]
SIZE_WH = (1600, 1200)
NEAR_PX = 4  # the band of the figures, to both sides of the edge
FRESH = (255.0, 0.0, 128.0)  # a background that is in none of the photos
TIMED_MEGAPIXELS = (12, 40)


def texture(name: str) -> Floats:
    """An example photo at the size of the scenes, (H, W, 3)."""
    pixels = open_photo(ROOT / "examples" / name).pixels
    return cv2.resize(pixels, SIZE_WH, interpolation=cv2.INTER_AREA).astype(np.float32)


def scaled_down(large: NDArray[np.uint8], blur_px: float) -> Floats:
    """An alpha drawn at four times the size, after the blur of a lens."""
    small = cv2.resize(large, SIZE_WH, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(small, (0, 0), blur_px), np.float32)


def outlined() -> Floats:
    """The hand-drawn outline of the dog."""
    cases = json.loads((ROOT / "tests" / "quality" / "expectations.json").read_text())
    case = next(case for case in cases if case["object"] == "dog")
    height, width = open_photo(ROOT / "examples" / case["photo"]).size_hw
    factor = 4 * np.array(SIZE_WH) / (width, height)
    outline = [(np.array(polygon) * factor).tolist() for polygon in case["outline"]]
    return scaled_down(
        filled(outline, (4 * SIZE_WH[1], 4 * SIZE_WH[0])).astype(np.uint8) * 255, 0.6
    )


def leaf() -> Floats:
    """A leaf with a serrated edge."""
    angles = np.linspace(0, 2 * np.pi, 4000)
    radii = 1500 * (1 + 0.3 * np.cos(2 * angles)) + 60 * np.abs(np.sin(60 * angles))
    points = np.stack([3200 + radii * np.cos(angles), 2400 + radii * np.sin(angles)], 1)
    canvas = np.zeros((4 * SIZE_WH[1], 4 * SIZE_WH[0]), np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 255)
    return scaled_down(canvas, 0.8)


def fur() -> Floats:
    """A disc with 3,000 hairs of one to two pixels."""
    random = np.random.default_rng(7)
    canvas = np.zeros((4 * SIZE_WH[1], 4 * SIZE_WH[0]), np.uint8)
    cv2.circle(canvas, (3200, 2400), 1500, 255, -1)
    for angle in random.uniform(0, 2 * np.pi, 3000):
        length, bend = random.uniform(40, 160), random.normal(0, 0.3)
        steps = np.linspace(0, 1, 12)
        radii = 1480 + length * steps
        turns = angle + bend * steps**2 * length / 1500
        points = np.stack([3200 + radii * np.cos(turns), 2400 + radii * np.sin(turns)], 1)
        cv2.polylines(canvas, [points.astype(np.int32)], False, 255, int(random.integers(4, 9)))
    return scaled_down(canvas, 0.6)


SCENES: dict[str, tuple[Callable[[], Floats], str, str]] = {
    "dog": (outlined, "dog.jpg", "street.jpg"),
    "leaf": (leaf, "flower.jpg", "fig.jpg"),
    "fur": (fur, "cat.jpg", "person.jpg"),
}


def near_edge(alpha: Floats) -> Mask:
    """The pixels within NEAR_PX of a partly transparent one."""
    mixed = ((alpha > 0.002) & (alpha < 0.998)).astype(np.uint8)
    return cv2.dilate(mixed, np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1))).astype(bool)


def errors(
    truth: tuple[Floats, Floats], alpha: NDArray[np.uint8], colours: NDArray[Any]
) -> dict[str, float]:
    """Mean absolute errors near the edge: of alpha, and of the object on a fresh background."""
    true_alpha, true_colours = truth
    band = near_edge(true_alpha)
    share = alpha[..., None].astype(np.float32) / 255
    whole = true_alpha[..., None]
    background = np.array(FRESH, np.float32)
    expected = whole * true_colours + (1 - whole) * background
    found = share * colours + (1 - share) * background
    return {
        "alpha": round(float(np.abs(share - whole)[band].mean()), 4),
        "picture": round(float(np.abs(found - expected)[band].mean()), 2),
    }


def measure(scene: str) -> dict[str, dict[str, float]]:
    """The errors of the three ways of cutting out one object by its own mask."""
    draw, front, back = SCENES[scene]
    true_alpha, true_colours = draw(), texture(front)
    whole = true_alpha[..., None]
    photo = np.rint(whole * true_colours + (1 - whole) * texture(back)).astype(np.uint8)
    mask = true_alpha >= 0.5
    soft = soft_alpha(mask)
    ways = {
        "hard": (mask.astype(np.uint8) * 255, photo),
        "soft": (soft, photo),
        "soft, colours estimated": (soft, foreground_colours(photo, soft)),
    }
    truth = true_alpha, true_colours
    return {way: errors(truth, *cut) for way, cut in ways.items()}


def timed(megapixels: int) -> float:
    """Seconds for alpha and colours of an object that fills most of a photo."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size_wh = (round(height * 4 / 3), height)
    mask = cv2.resize(fur(), size_wh) >= 0.5
    pixels = np.asarray(cv2.resize(texture("cat.jpg"), size_wh), np.uint8)
    started = time.perf_counter()
    foreground_colours(pixels, soft_alpha(mask))
    return round(time.perf_counter() - started, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {scene: measure(scene) for scene in SCENES}
    figures["seconds"] = {f"{size} megapixels": timed(size) for size in TIMED_MEGAPIXELS}
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
