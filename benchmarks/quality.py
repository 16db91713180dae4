"""One click and one box on every example photo: `python -m benchmarks.quality`.

Compares the masks with outlines drawn by hand (tests/quality/expectations.json) and draws them side
by side into docs/contact-sheet.jpg.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mobilesam import Prompt, Segmenter
from mobilesam.images import open_photo

ROOT = Path(__file__).resolve().parents[1]
TILE_WH = (480, 400)
CAPTION_PX = 40
COLUMNS = 3
FILL, PLUS = np.array([30, 138, 255]), "#16a34a"


def filled(outline: list[list[list[float]]], size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The area within hand-drawn polygons."""
    canvas = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon).astype(np.int32) for polygon in outline], 1)
    return canvas.astype(bool)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def tile(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], click: list[int], text: str) -> Image:
    """One photo with its mask, its click and a caption."""
    shown = pixels.astype(np.float32)
    shown[mask] = shown[mask] * 0.55 + FILL * 0.45
    edge = mask ^ cv2.erode(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
    shown[edge] = 255
    picture = Image.fromarray(shown.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    radius = max(picture.size) / 70
    x, y = click
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), PLUS, "white", int(radius / 3))
    width, height = TILE_WH
    picture.thumbnail((width - 16, height - CAPTION_PX - 8))
    sheet = Image.new("RGB", TILE_WH, "white")
    sheet.paste(
        picture,
        ((width - picture.width) // 2, (height - CAPTION_PX - picture.height) // 2),
    )
    ImageDraw.Draw(sheet).text(
        (width / 2, height - CAPTION_PX / 2),
        text,
        fill="black",
        anchor="mm",
        font=ImageFont.load_default(18),
    )
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    segmenter = Segmenter.from_weights(arguments.weights)
    cases = json.loads((ROOT / "tests" / "quality" / "expectations.json").read_text())
    tiles, rows = [], []
    for case in cases:
        photo = open_photo(ROOT / "examples" / case["photo"])
        embedding = segmenter.encode(photo)
        expected = filled(case["outline"], photo.size_hw)
        clicked = segmenter.predict(embedding, Prompt([case["click"]], [1]))
        boxed = segmenter.predict(embedding, Prompt(box=case["box"]))
        mask = clicked.masks[clicked.best]
        row = {
            "photo": case["photo"],
            "object": case["object"],
            "click_iou": round(iou(mask, expected), 3),
            "best_of_3_iou": round(max(iou(m, expected) for m in clicked.masks), 3),
            "box_iou": round(iou(boxed.masks[boxed.best], expected), 3),
            "predicted_iou": round(float(clicked.iou_predictions[clicked.best]), 3),
        }
        rows.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()))
        text = f"{case['object']}: IoU {row['click_iou']:.2f}"
        tiles.append(tile(photo.pixels, mask, case["click"], text))
    width, height = TILE_WH
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(tiles) // COLUMNS) * height), "white")
    for index, picture in enumerate(tiles):
        sheet.paste(picture, (index % COLUMNS * width, index // COLUMNS * height))
    sheet.save(ROOT / "docs" / "contact-sheet.jpg", quality=85)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
