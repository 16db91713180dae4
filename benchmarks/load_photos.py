"""Photos, interactions and correct masks for the simulated users of a load test.

The correct masks are computed in a separate process before the load begins.
"""

from __future__ import annotations

import functools
import io
import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
WIDTH, HEIGHT = 640, 480
"""Of every photo; the model scales all of them to 1024, so an encode costs what it always does."""
_NOISE = 4

JsonInteractions = list[dict[str, Any]]


def photo_of(user: int) -> bytes:
    """A unique JPEG: a crop of an example photo, perhaps mirrored, with noise."""
    chance = random.Random(user)
    sources = _example_photos()
    source = sources[user % len(sources)]
    width = chance.randint(source.width // 2, source.width)
    height = min(width * HEIGHT // WIDTH, source.height)
    left, top = chance.randint(0, source.width - width), chance.randint(0, source.height - height)
    crop = source.resize((WIDTH, HEIGHT), box=(left, top, left + width, top + height))
    if chance.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    noise = np.random.default_rng(user).integers(-_NOISE, _NOISE + 1, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(crop) + noise, 0, 255).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=90)
    return target.getvalue()


def interaction_logs(user: int) -> list[JsonInteractions]:
    """The requests of a user in order: clicks, corrections, an undo, a candidate, a box."""
    chance = random.Random(-1 - user)

    def point(label: int = 1) -> dict[str, Any]:
        x, y = chance.uniform(0.1, 0.9) * WIDTH, chance.uniform(0.1, 0.9) * HEIGHT
        return {"type": "point", "x": round(x, 1), "y": round(y, 1), "label": label}

    first, correction, away, other, within = point(), point(), point(0), point(), point()
    choice = {"type": "candidate", "index": chance.randrange(3)}
    left, top = chance.uniform(0, 0.4) * WIDTH, chance.uniform(0, 0.4) * HEIGHT
    box = {"type": "box", "box": [left, top, left + 0.5 * WIDTH, top + 0.5 * HEIGHT]}
    return [
        [first],
        [first, correction],
        [first, correction, away],
        [first, correction],  # undone
        [first, choice],  # another candidate
        [first, choice, away],
        [other],  # cleared, another object
        [box],
        [box, within],
        [point()],
    ]


def correct_masks(photos: Sequence[bytes], logs: Sequence[Sequence[JsonInteractions]]) -> list:
    """The mask of every request on its photo, as COCO RLE, computed without load."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return list(process.map(_answers, photos, logs))


@functools.cache
def _example_photos() -> list[Image.Image]:
    paths = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".jpg", ".png"})
    return [Image.open(path).convert("RGB") for path in paths]


@functools.cache
def _segmenter() -> Any:
    from mobilesam import Segmenter
    from mobilesam.runtime import tune_process

    tune_process()
    return Segmenter.from_weights("bundled")


def _answers(photo: bytes, logs: Sequence[JsonInteractions]) -> list:
    from mobilesam.interactions import parse_interactions
    from mobilesam.masks import mask_to_coco_rle

    segmenter = _segmenter()
    with Image.open(io.BytesIO(photo)) as picture:
        embedding = segmenter.encode(picture)
    return [
        mask_to_coco_rle(
            segmenter.answer(embedding, parse_interactions(interactions)).mask(clean=True)
        )
        for interactions in logs
    ]
