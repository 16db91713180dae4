"""One photo's whole walk in a process of its own, for its time and its memory.

`python -m benchmarks.walk ours PHOTO 3` (or `original`) opens the photo, encodes it, clicks in its
middle and makes the PNG of the mask, three times, and prints JSON: milliseconds a step (medians),
the most megabytes that the process held at once, and the bytes of the embedding.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.machine import peak_rss_mb
from mobilesam.runtime import tune_process, usable_cores

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = ROOT / "examples" / "lute.jpg"
Step = Callable[[Any], Any]


def our_steps() -> tuple[dict[str, Step], Callable[[], int]]:
    """Steps, each on what the one before gave, and a look at the embedding's bytes."""
    from mobilesam import ImageEmbedding, Prompt, Segmenter
    from mobilesam.export import mask_png
    from mobilesam.masks import Mask

    segmenter = Segmenter.from_weights("bundled")
    turn = 0

    def open_photo(path: Path) -> Any:
        nonlocal turn
        turn += 1
        photo = segmenter.open(path)
        photo.pixels[0, 0] = turn  # another photo each time, or the cache would answer
        return photo

    def click(embedding: ImageEmbedding) -> Mask:
        height, width = embedding.original_size
        prediction = segmenter.predict(embedding, Prompt([(width / 2, height / 2)], [1]))
        return prediction.mask(prediction.best)

    steps = {"open": open_photo, "encode": segmenter.encode, "click": click, "export": mask_png}
    return steps, lambda: segmenter.cache_info().bytes // segmenter.cache_info().entries


def original_steps() -> tuple[dict[str, Step], Callable[[], int]]:
    """The same with the mobile_sam package."""
    from mobile_sam import SamPredictor

    from benchmarks.original import original_sam
    from mobilesam.export import mask_png

    predictor = SamPredictor(original_sam())

    def open_photo(path: Path) -> np.ndarray:
        return np.array(Image.open(path).convert("RGB"))

    def click(_: None) -> np.ndarray:
        height, width = predictor.original_size
        point = np.array([(width / 2, height / 2)])
        masks, ious, _ = predictor.predict(point, np.array([1]), multimask_output=True)
        return masks[ious.argmax()]

    steps = {
        "open": open_photo,
        "encode": predictor.set_image,
        "click": click,
        "export": mask_png,
    }
    return steps, lambda: predictor.features.nbytes


def timed(steps: Mapping[str, Step], path: Path) -> dict[str, float]:
    """Milliseconds of each step of one walk."""
    value: Any = path
    milliseconds = {}
    for name, step in steps.items():
        started = time.perf_counter()
        value = step(value)
        milliseconds[name] = 1000 * (time.perf_counter() - started)
    return milliseconds


def medians(walks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Step by step over several walks."""
    return {name: statistics.median(walk[name] for walk in walks) for name in walks[0]}


def walk(
    name: str, photo: Path, repeats: int, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Runs this module in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.walk", name, photo, str(repeats)]
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(answer.stdout)


def resized_example(source: Path, size_hw: tuple[int, int], target: Path) -> Path:
    """A photo of any size, made of an example; its content hardly matters to time or memory."""
    with Image.open(source) as image:
        image.convert("RGB").resize(size_hw[::-1]).save(target, "JPEG", quality=85)
    return target


def main() -> None:
    name, photo, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if name == "ours":
        tune_process()
    torch.set_num_threads(usable_cores())
    with torch.inference_mode():
        steps, embedding_bytes = our_steps() if name == "ours" else original_steps()
        timed(steps, WARM_UP)
        walks = [timed(steps, photo) for _ in range(repeats)]
    report = {
        "ms": medians(walks),
        "peak_mb": peak_rss_mb(),
        "embedding_bytes": embedding_bytes(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
