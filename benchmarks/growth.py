"""How cost grows with photos, prompts and users: `python -m benchmarks.growth`.

Photos from 0.1 to 40 megapixels, each in a process of its own; prompts from 1 to 1,024, in batches
as `everything` decodes them, and points within one prompt; and users who click at once, each
on a photo of their own, as threads on one Segmenter.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contender import point
from benchmarks.machine import machine
from benchmarks.walk import resized_example, walk
from mobilesam import ImageEmbedding, Prompt, Segmenter
from mobilesam.model.backend import ModelBackend, choose_backend
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import resolve_weights
from mobilesam.predict import decode_batch
from mobilesam.runtime import tune_process, usable_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MEGAPIXELS = (0.1, 0.5, 2, 8, 24, 40)
PROMPTS = (1, 4, 16, 64, 256, 1024)
BATCH = 16  # as mobilesam.everything decodes them
POINTS = (1, 4, 16, 64)
USERS = (1, 2, 4, 8, 16)
Row = dict[str, Any]


def size_of(megapixels: float, shape_hw: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of so many pixels in a photo's proportions, and never more."""
    scale = (megapixels * 1e6 / (shape_hw[0] * shape_hw[1])) ** 0.5
    return int(shape_hw[0] * scale), int(shape_hw[1] * scale)


def photo_row(source: Path, shape_hw: tuple[int, int], megapixels: float, repeats: int) -> Row:
    """One photo's walk in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "photo.jpg"
        photo = resized_example(source, size_of(megapixels, shape_hw), target)
        answer = walk("ours", photo, repeats)
    steps = {f"{name}_ms": value for name, value in answer["ms"].items()}
    return {"megapixels": megapixels, **steps, "peak_mb": answer["peak_mb"]}


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median milliseconds, after one run that does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def prompt_row(network: ModelBackend, embedding: ImageEmbedding, count: int, repeats: int) -> Row:
    """So many single points, decoded in batches."""
    prompts = [Prompt([point(seed, embedding.original_size)], [1]) for seed in range(count)]

    def decode() -> None:
        for start in range(0, count, BATCH):
            decode_batch(network, embedding, prompts[start : start + BATCH])

    total = median_ms(decode, repeats)
    return {"prompts": count, "total_ms": total, "per_prompt_ms": total / count}


def points_row(segmenter: Segmenter, embedding: ImageEmbedding, count: int, repeats: int) -> Row:
    """One prompt of so many points, to its mask at the photo's size."""
    points = [point(seed, embedding.original_size) for seed in range(count)]
    prompt = Prompt(points, [1] * count)

    def click() -> None:
        prediction = segmenter.predict(embedding, prompt)
        prediction.mask(prediction.best)

    return {"points": count, "click_ms": median_ms(click, repeats)}


def users_row(
    segmenter: Segmenter, embeddings: Sequence[ImageEmbedding], count: int, clicks: int
) -> Row:
    """So many threads that click without a pause, each on an embedding of its own."""
    latencies: list[float] = []
    together = threading.Barrier(count + 1)

    def visit(embedding: ImageEmbedding) -> None:
        together.wait()
        for seed in range(clicks):
            started = time.perf_counter()
            prompt = Prompt([point(seed, embedding.original_size)], [1])
            prediction = segmenter.predict(embedding, prompt)
            prediction.mask(prediction.best)
            latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=visit, args=(one,)) for one in embeddings[:count]]
    for thread in threads:
        thread.start()
    together.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if len(latencies) != count * clicks:
        raise RuntimeError(f"{count} users made {len(latencies)} of {count * clicks} clicks.")
    return {"users": count, **load_figures(latencies, seconds)}


def load_figures(latencies: Sequence[float], seconds: float) -> dict[str, float]:
    """Throughput and latency of clicks that took `latencies` seconds each, `seconds` in all."""
    return {
        "clicks_per_s": len(latencies) / seconds,
        "median_ms": 1000 * statistics.median(latencies),
        "worst_ms": 1000 * max(latencies),
    }


def example_embeddings(segmenter: Segmenter, count: int) -> list[ImageEmbedding]:
    """Of the example photos, and of their mirror images where these are too few."""
    photos = [segmenter.open(path) for path in sorted(EXAMPLES.glob("*.[jp][pn]g"))]
    mirrored = [segmenter.open(np.ascontiguousarray(photo.pixels[:, ::-1])) for photo in photos]
    return [segmenter.encode(photo) for photo in [*photos, *mirrored][:count]]


def show(rows: Sequence[Row]) -> None:
    """A column a figure."""
    print("  ".join(f"{name:>13}" for name in rows[0]))
    for row in rows:
        cells = (f"{value:,.1f}" if isinstance(value, float) else value for value in row.values())
        print("  ".join(f"{cell:>13}" for cell in cells))
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path, default=EXAMPLES / "street.jpg")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clicks", type=int, default=12, help="of each user")
    parser.add_argument("--largest", type=float, default=40, help="megapixels")
    parser.add_argument("--most", type=int, default=1024, help="prompts")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    tune_process()
    torch.set_num_threads(usable_cores())
    repeats = arguments.repeats

    weights = resolve_weights("bundled")
    network = choose_backend(load_sam(weights.path, torch.device("cpu")))
    segmenter = Segmenter(network, weights, "bundled")
    embedding = segmenter.encode(arguments.photo)
    shape_hw = embedding.original_size
    report: dict[str, Any] = {
        "machine": machine() | {"threads": torch.get_num_threads(), "network": network.name}
    }
    report["photos"] = [
        photo_row(arguments.photo.resolve(), shape_hw, megapixels, repeats)
        for megapixels in MEGAPIXELS
        if megapixels <= arguments.largest
    ]
    show(report["photos"])
    report["prompts"] = [
        prompt_row(network, embedding, count, 1 if count > 64 else repeats)
        for count in PROMPTS
        if count <= arguments.most
    ]
    show(report["prompts"])
    report["points"] = [points_row(segmenter, embedding, count, 3 * repeats) for count in POINTS]
    show(report["points"])
    embeddings = example_embeddings(segmenter, max(USERS))
    report["users"] = [users_row(segmenter, embeddings, count, arguments.clicks) for count in USERS]
    show(report["users"])
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
