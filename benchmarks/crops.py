"""What a crop does for small objects: `python -m benchmarks.crops FOLDER`.

Clicks once into small outlined objects and compares the masks with the outlines: with the embedding
of the whole photo, and with that of the crop that users see who have zoomed in on the object.
FOLDER has `photos*.npz` with the object arrays `jpeg`, bytes, and `label`, lists of PNG label maps
of the photo's size whose pixels are 0 or the number of a region. Of every photo the largest region
below 0.5% of it counts, unless that is a speck; photos are taken at equal distances.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.quality import iou
from mobilesam import Prompt, Segmenter, clean_mask
from mobilesam.training.prompt_sampling import farthest_point

ZOOMS = (1.0, 2.5, 4.0, 8.0)
MAX_SHARE = 0.005
MIN_AREA_PX = 64
NOTABLE = 0.02
"""Smaller differences of the IoU count neither as better nor as worse."""

Mask: TypeAlias = NDArray[np.bool_]
Pixels: TypeAlias = NDArray[np.uint8]


def small_region(label_maps: list[NDArray[np.int64]]) -> Mask | None:
    """The largest region with at least MIN_AREA_PX pixels and less than MAX_SHARE of the photo."""
    best, best_area = None, MIN_AREA_PX - 1
    for labels in label_maps:
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        areas[areas >= MAX_SHARE * labels.size] = 0
        if areas.max() > best_area:
            best, best_area = labels == areas.argmax(), int(areas.max())
    return best


def view_xyxy(
    centre_xy: tuple[float, float], size_hw: tuple[int, int], zoom: float
) -> tuple[int, int, int, int]:
    """What users see of a photo that fills the canvas, zoomed in on a point as far as it goes."""
    height, width = (round(side / zoom) for side in size_hw)
    x0 = round(min(max(centre_xy[0] - width / 2, 0), size_hw[1] - width))
    y0 = round(min(max(centre_xy[1] - height / 2, 0), size_hw[0] - height))
    return x0, y0, x0 + width, y0 + height


def small_objects(folder: Path, count: int) -> Iterator[tuple[Pixels, Mask]]:
    """At most `count` photos, each with the mask of its small object."""
    found = []
    for path in sorted(folder.glob("photos*.npz")):
        with np.load(path, allow_pickle=True) as arrays:
            jpegs, labels = arrays["jpeg"], arrays["label"]
        for jpeg, pngs in zip(jpegs, labels, strict=True):
            maps = [np.array(Image.open(io.BytesIO(png))).astype(np.int64) for png in pngs]
            mask = small_region(maps)
            if mask is not None:
                found.append((jpeg, mask))
    for index in np.unique(np.linspace(0, len(found) - 1, count).round().astype(int)):
        jpeg, mask = found[index]
        yield np.array(Image.open(io.BytesIO(jpeg)).convert("RGB")), mask


def measure(segmenter: Segmenter, photo: Pixels, expected: Mask) -> list[tuple[float, float]]:
    """The IoU of one click, and the seconds of the encode, for each of ZOOMS."""
    point = farthest_point(expected)
    prompt = Prompt([point], [1])
    results = []
    for zoom in ZOOMS:
        started_at = time.perf_counter()
        embedding = segmenter.encode(photo, view_xyxy(point, photo.shape[:2], zoom))
        encode_s = time.perf_counter() - started_at
        prediction = segmenter.predict(embedding, prompt)
        mask = clean_mask(prediction.mask(prediction.best), prompt)
        results.append((iou(mask, expected), encode_s))
    return results


def table(results: NDArray[np.float64]) -> str:
    """Markdown for (objects, zooms, 2) IoUs and seconds."""
    lines = [
        "| zoom | mean IoU | median IoU | better | worse | encode |",
        "|---|---|---|---|---|---|",
    ]
    whole = results[:, 0, 0]
    for number, zoom in enumerate(ZOOMS):
        ious, encode_ms = results[:, number, 0], 1000 * np.median(results[:, number, 1])
        better, worse = (ious > whole + NOTABLE).sum(), (ious < whole - NOTABLE).sum()
        name = "whole photo" if zoom == 1 else f"{zoom:g}x"
        shown = f"{ious.mean():.3f} | {np.median(ious):.3f} | {better} | {worse}"
        lines.append(f"| {name} | {shown} | {encode_ms:.0f} ms |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--objects", type=int, default=40)
    parser.add_argument("--weights", help="as for Segmenter.from_weights")
    options = parser.parse_args()
    segmenter = Segmenter.from_weights(options.weights)
    objects = small_objects(options.folder, options.objects)
    results = np.array([measure(segmenter, photo, mask) for photo, mask in objects])
    print(f"{len(results)} objects\n{table(results)}")


if __name__ == "__main__":
    main()
