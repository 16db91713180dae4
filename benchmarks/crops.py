"""What a crop does for small objects: `python -m benchmarks.crops FOLDER`.

Clicks once into small outlined objects and compares the masks with the outlines: with the embedding
of the whole photo, and with that of the crop that is visible to a user zoomed in on the object.
FOLDER has `photos*.npz` with the object arrays `jpeg`, bytes, and `label`, lists of PNG label maps
of the photo's size whose pixels are 0 or the number of a region.

If the photos are no larger than the model's input, a crop shows nothing more. `--tiles 4` makes
large ones of them: each is 4 x 4 photos, cut to 512 x 384 pixels. Of every photo the largest region
below 0.5% of what is encoded counts, unless that is a speck; photos are taken at equal distances.
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
TILE_HW = (384, 512)
NOTABLE = 0.02
"""Smaller differences of the IoU count neither as better nor as worse."""

Mask: TypeAlias = NDArray[np.bool_]
Pixels: TypeAlias = NDArray[np.uint8]


def small_region(label_maps: list[NDArray[np.int64]], limit_px: float) -> Mask | None:
    """The largest region with at least MIN_AREA_PX pixels and less than `limit_px`."""
    best, best_area = None, MIN_AREA_PX - 1
    for labels in label_maps:
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        areas[areas >= limit_px] = 0
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


def small_objects(folder: Path, count: int, tiles: int) -> list[tuple[bytes, Mask]]:
    """At most `count` photos, each with the mask of an object that is small among all tiles."""
    found = []
    for path in sorted(folder.glob("photos*.npz")):
        with np.load(path, allow_pickle=True) as arrays:
            jpegs, labels = arrays["jpeg"], arrays["label"]
        for jpeg, pngs in zip(jpegs, labels, strict=True):
            maps = [np.array(Image.open(io.BytesIO(png))).astype(np.int64) for png in pngs]
            mask = small_region(maps, MAX_SHARE * tiles**2 * maps[0].size)
            if mask is not None and (tiles == 1 or fits_tile(mask)):
                found.append((jpeg, mask))
    indices = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[index] for index in indices]


def fits_tile(mask: Mask) -> bool:
    """Whether the photo is as large as a tile, and the object lies in the part that stays."""
    height, width = TILE_HW
    is_large = mask.shape[0] >= height and mask.shape[1] >= width
    return is_large and bool(mask[:height, :width].sum() == mask.sum())


def large_photos(objects: list[tuple[bytes, Mask]], tiles: int) -> Iterator[tuple[Pixels, Mask]]:
    """The objects, each in the photo of `tiles` x `tiles` photos that it belongs to."""
    photos = [np.array(Image.open(io.BytesIO(jpeg)).convert("RGB")) for jpeg, _ in objects]
    if tiles == 1:
        yield from zip(photos, (mask for _, mask in objects), strict=True)
        return
    height, width = TILE_HW
    for start in range(0, len(objects) - tiles**2 + 1, tiles**2):
        cut = [photo[:height, :width] for photo in photos[start : start + tiles**2]]
        rows = [np.hstack(cut[row * tiles : (row + 1) * tiles]) for row in range(tiles)]
        large = np.vstack(rows)
        for number in range(tiles**2):
            y, x = number // tiles * height, number % tiles * width
            mask = np.zeros(large.shape[:2], bool)
            mask[y : y + height, x : x + width] = objects[start + number][1][:height, :width]
            yield large, mask


def measure(segmenter: Segmenter, photo: Pixels, expected: Mask) -> list[float]:
    """The IoU of one click for each of ZOOMS."""
    point = farthest_point(expected)
    prompt = Prompt([point], [1])
    ious = []
    for zoom in ZOOMS:
        embedding = segmenter.encode(photo, view_xyxy(point, photo.shape[:2], zoom))
        prediction = segmenter.predict(embedding, prompt)
        mask = clean_mask(prediction.mask(prediction.best), prompt)
        ious.append(iou(mask, expected))
    return ious


def table(ious: NDArray[np.float64]) -> str:
    """Markdown for (objects, zooms) IoUs."""
    lines = ["| zoom | mean IoU | median IoU | better | worse |", "|---" * 5 + "|"]
    for number, zoom in enumerate(ZOOMS):
        column, gains = ious[:, number], ious[:, number] - ious[:, 0]
        name = "whole photo" if zoom == 1 else f"{zoom:g}x"
        counts = f"{(gains > NOTABLE).sum()} | {(gains < -NOTABLE).sum()}"
        lines.append(f"| {name} | {column.mean():.3f} | {np.median(column):.3f} | {counts} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--objects", type=int, default=48)
    parser.add_argument("--tiles", type=int, default=1, help="along each side")
    parser.add_argument("--weights", help="as for Segmenter.from_weights")
    options = parser.parse_args()
    segmenter = Segmenter.from_weights(options.weights)
    objects = small_objects(options.folder, options.objects, options.tiles)
    photos = large_photos(objects, options.tiles)
    started_at = time.perf_counter()
    ious = np.array([measure(segmenter, photo, mask) for photo, mask in photos])
    elapsed_s = (time.perf_counter() - started_at) / segmenter.cache_info().misses
    print(f"{len(ious)} objects, {elapsed_s:.1f} s for an encode and a click\n{table(ious)}")


if __name__ == "__main__":
    main()
