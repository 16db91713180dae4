"""One contender in a process of its own: reads a task a line, answers with its seconds.

Before the first task it writes a line that says with what it computes.

Each contender has its own allocator, threads and imports, so neither helps nor hinders the other:
`original` is the mobile_sam package as it comes, `original-tuned` the same with our allocator
settings, `ours` this project in the precision that it chooses, `ours-float32` this project in
float32, and `ours-plain` its reference modules.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mobilesam.runtime import tune_process, usable_cores

if __name__ == "__main__" and sys.argv[1] != "original":
    tune_process()  # before torch is imported

import numpy as np
import torch

from mobilesam.images import open_photo

ROOT = Path(__file__).resolve().parents[1]
Tasks = dict[str, Callable[[int], object]]
THRESHOLDS = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.5}
"""The bundled weights find little at the usual thresholds; both sides get the same work."""


def original_tasks(pixels: np.ndarray) -> tuple[Tasks, str]:
    """The mobile_sam package with the bundled weights."""
    from mobile_sam import SamAutomaticMaskGenerator, SamPredictor

    from benchmarks.original import original_sam

    sam = original_sam()
    predictor = SamPredictor(sam)
    predictor.set_image(pixels)

    def click(seed: int) -> object:
        masks, ious, _ = predictor.predict(
            np.array([point(seed, pixels.shape[:2])]), np.array([1]), multimask_output=True
        )
        return masks[ious.argmax()]

    def everything(points_per_side: int) -> object:
        generator = SamAutomaticMaskGenerator(sam, points_per_side=points_per_side, **THRESHOLDS)
        return generator.generate(pixels)

    tasks = {
        "encode": lambda _: predictor.set_image(pixels),
        "click": click,
        "everything": everything,
    }
    return tasks, "mobile_sam"


def our_tasks(pixels: np.ndarray, name: str) -> tuple[Tasks, str]:
    """This project with the bundled weights, as `name` says; encodes past the cache."""
    from mobilesam import Prompt, Segmenter
    from mobilesam.embedding import ImageEmbedding, compute_embedding
    from mobilesam.model.backend import choose_backend, plain_backend
    from mobilesam.model.fast_layers import linear, random_matrices
    from mobilesam.model.sam import load_sam
    from mobilesam.model.weights import resolve_weights

    choose = {
        "ours": choose_backend,
        "ours-float32": partial(choose_backend, precision="float32"),
        "ours-plain": plain_backend,
    }[name]
    network = choose(load_sam(ROOT / "weights", torch.device("cpu")))
    segmenter = Segmenter(network, resolve_weights("bundled"), "bundled")
    photo = segmenter.open(pixels)
    embedding = segmenter.encode(photo)

    def click(seed: int) -> object:
        prediction = segmenter.predict(embedding, Prompt([point(seed, pixels.shape[:2])], [1]))
        return prediction.mask(prediction.best)

    def encode(_: int) -> ImageEmbedding:
        return compute_embedding(network, photo, "fresh")

    def everything(points_per_side: int) -> object:
        return segmenter.everything(encode(0), points_per_side, **THRESHOLDS)

    # The encoder's most frequent product; its rate gives the floor.
    dtype = torch.bfloat16 if network.name.endswith("bfloat16") else torch.float32
    tokens, weight = (matrix.to(dtype) for matrix in random_matrices((4096, 640), (640, 640)))
    tasks = {
        "encode": encode,
        "click": click,
        "everything": everything,
        "product": lambda _: linear(tokens, weight),
    }
    return tasks, network.name


def point(seed: int, size_hw: tuple[int, int]) -> tuple[float, float]:
    """The same pseudo-random place for every contender."""
    height, width = size_hw
    return (0.1 + 0.8 * (seed * 37 % 101) / 101) * width, (
        0.1 + 0.8 * (seed * 53 % 97) / 97
    ) * height


def main() -> None:
    name, photo = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(usable_cores())
    pixels = open_photo(photo).pixels
    tasks, network = (
        original_tasks(pixels) if name.startswith("original") else our_tasks(pixels, name)
    )
    facts = {
        "network": network,
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
    }
    print("ready", json.dumps(facts), flush=True)
    for line in sys.stdin:
        task, argument = line.split()
        started = time.perf_counter()
        with torch.inference_mode():
            tasks[task](int(argument))
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
