"""How good masks are for one click: `python -m benchmarks.quality`.

Compares masks with outlines drawn by hand (tests/quality/expectations.json), for 25 clicks and a
box on each object, and draws the first click of each into docs/contact-sheet.jpg. With
`--annotations` and `--photos` also with the masks of a COCO file, for the point farthest from the
border. Rules for the default candidate are compared, each with and without clean-up.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mobilesam import ImageEmbedding, Prediction, Prompt, Segmenter, clean_mask
from mobilesam.candidates import confidence
from mobilesam.images import open_photo
from mobilesam.polygons import count_parts_and_holes
from mobilesam.training.annotations import read_annotations
from mobilesam.training.prompt_sampling import farthest_point

ROOT = Path(__file__).resolve().parents[1]
TILE_WH = (480, 400)
CAPTION_PX = 40
COLUMNS = 3
FILL, PLUS = np.array([30, 138, 255]), "#16a34a"
MORE_CLICKS = 24
"""Besides the chosen click of each outlined object, at random but not near its border."""
REGIONS = 300

Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Click:
    """A prediction for one click, its prompt, and the mask that was meant."""

    prediction: Prediction
    prompt: Prompt
    expected: Mask


def filled(outline: list[list[list[float]]], size_hw: tuple[int, int]) -> Mask:
    """The area within hand-drawn polygons."""
    canvas = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon).astype(np.int32) for polygon in outline], 1)
    return canvas.astype(bool)


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def stability(logits: NDArray[np.float32]) -> float:
    """SAM's stability score, of low-resolution logits."""
    return float((logits > 1).sum() / max((logits > -1).sum(), 1))


def _plus(feature: Callable[..., float], weight: float) -> Callable[[Prediction], NDArray]:
    return lambda prediction: (
        prediction.iou_predictions
        + weight * np.array([feature(logits) for logits in prediction.low_res_logits])
    )


def raggedness(logits: NDArray[np.float32]) -> float:
    """ln(parts + 1) of the mask."""
    return float(np.log1p(count_parts_and_holes(logits > 0)[0]))


RULES: dict[str, Callable[[Prediction], NDArray]] = {
    "predicted IoU": lambda prediction: prediction.iou_predictions,
    "+ 0.5 x stability score": _plus(stability, 0.5),
    "+ 1 x stability score": _plus(stability, 1.0),
    "+ 0.25 x mean confidence": _plus(confidence, 0.25),
    "+ 0.5 x mean confidence": _plus(confidence, 0.5),
    "- 0.02 x ln(parts + 1)": _plus(raggedness, -0.02),
    "- 0.05 x ln(parts + 1)": _plus(raggedness, -0.05),
    "- 0.1 x ln(parts + 1)": _plus(raggedness, -0.1),
}


def example_clicks(
    segmenter: Segmenter, embedding: ImageEmbedding, expected: Mask, first: list[int]
) -> Iterator[Click]:
    """The chosen click and random ones, at least a quarter as deep in the object as possible."""
    depth = cv2.distanceTransform(np.pad(expected, 1).view(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.nonzero(depth >= depth.max() / 4)
    chosen = np.random.default_rng(0).choice(len(x), MORE_CLICKS, replace=False)
    for point in [first, *zip(x[chosen].tolist(), y[chosen].tolist(), strict=True)]:
        prompt = Prompt([point], [1])
        yield Click(segmenter.predict(embedding, prompt), prompt, expected)


def coco_clicks(
    segmenter: Segmenter, annotations: Path, folder: Path, regions: int
) -> Iterator[Click]:
    """A click on each of so many regions of a COCO file, chosen at random."""
    photos = read_annotations([annotations], folder, 1024, print)
    numbered = [(photo, n) for photo in photos for n in range(len(photo.rles))]
    order = np.random.default_rng(0).permutation(len(numbered))[:regions]
    for photo, n in (numbered[index] for index in sorted(order)):
        embedding = segmenter.encode(photo.path)
        scale = embedding.original_size[0] / photo.size_hw[0]
        (expected,) = photo.masks([n])
        prompt = Prompt([(farthest_point(expected) * scale).tolist()], [1])
        yield Click(segmenter.predict(embedding, prompt), prompt, expected)


def measured(masks: list[tuple[Mask, Mask]]) -> dict[str, float]:
    """Mean IoU of masks with those expected, and their parts and holes."""
    counts = np.mean([count_parts_and_holes(mask) for mask, _ in masks], axis=0).round(1)
    mean_iou = float(np.mean([iou(*pair) for pair in masks]))
    return {"iou": round(mean_iou, 3), "parts": float(counts[0]), "holes": float(counts[1])}


def compared(clicks: list[Click]) -> list[dict[str, object]]:
    """A row for each rule, and one for the best of the candidates."""
    names = [*RULES, "best candidate"]
    raw: dict[str, list[tuple[Mask, Mask]]] = {name: [] for name in names}
    clean: dict[str, list[tuple[Mask, Mask]]] = {name: [] for name in names}
    for click in clicks:
        expected, count = click.expected, len(click.prediction.iou_predictions)
        size_hw = expected.shape
        masks = [click.prediction.mask(index, size_hw) for index in range(count)]
        cleaned = [clean_mask(mask, click.prompt, click.prediction.original_size) for mask in masks]
        chosen = {name: int(np.argmax(rule(click.prediction))) for name, rule in RULES.items()}
        chosen["best candidate"] = int(np.argmax([iou(mask, expected) for mask in masks]))
        for name, index in chosen.items():
            raw[name].append((masks[index], expected))
            clean[name].append((cleaned[index], expected))
    return [
        {"rule": name, "as_predicted": measured(raw[name]), "clean": measured(clean[name])}
        for name in names
    ]


def show(title: str, rows: list[dict[str, object]]) -> None:
    """Prints a table of rules."""
    print(f"\n{title}: IoU, parts and holes as predicted; with clean-up")
    for row in rows:
        figures = [row["as_predicted"].values(), row["clean"].values()]
        cells = ["{:.3f} {:5.1f} {:5.1f}".format(*values) for values in figures]
        print(f"{row['rule']:26} {cells[0]}   {cells[1]}")


def tile(pixels: NDArray[np.uint8], mask: Mask, click: list[int], text: str) -> Image:
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


def save_contact_sheet(tiles: list[Image.Image]) -> None:
    """Draws the tiles side by side."""
    width, height = TILE_WH
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(tiles) // COLUMNS) * height), "white")
    for index, picture in enumerate(tiles):
        sheet.paste(picture, (index % COLUMNS * width, index // COLUMNS * height))
    sheet.save(ROOT / "docs" / "contact-sheet.jpg", quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--annotations", type=Path, help="a COCO file, to be measured too")
    parser.add_argument("--photos", type=Path, help="the folder of its photos")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    segmenter = Segmenter.from_weights(arguments.weights)
    cases = json.loads((ROOT / "tests" / "quality" / "expectations.json").read_text())
    tiles, rows, clicks = [], [], []
    for case in cases:
        photo = open_photo(ROOT / "examples" / case["photo"])
        embedding = segmenter.encode(photo)
        expected = filled(case["outline"], photo.size_hw)
        own = list(example_clicks(segmenter, embedding, expected, case["click"]))
        clicks += own
        clicked = own[0].prediction
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
        shown = clean_mask(mask, own[0].prompt)
        text = f"{case['object']}: IoU {iou(shown, expected):.2f}"
        tiles.append(tile(photo.pixels, shown, case["click"], text))
    save_contact_sheet(tiles)
    report = {"objects": rows, "clicks": len(clicks), "rules": compared(clicks)}
    show(f"{len(clicks)} clicks on the example photos", report["rules"])
    if arguments.annotations:
        clicks = list(coco_clicks(segmenter, arguments.annotations, arguments.photos, REGIONS))
        report["coco"] = {"regions": len(clicks), "rules": compared(clicks)}
        show(f"{len(clicks)} regions of {arguments.annotations.name}", report["coco"]["rules"])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
