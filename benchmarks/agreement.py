"""How bfloat16 masks agree with float32 ones: `python -m benchmarks.agreement --photos FOLDER`.

The encoder runs in both precisions with the same weights, the decoder in float32 on either
embedding. Every photo gets ten seeded prompts: points on a jittered grid, every other one made the
middle of a box. --photos may be repeated; the example photos always take part.

The figure in agreement.json was made with the 8 example photos and 43 small ones, of 33 of the
sources that the bundled weights were trained on (weights/training_sources.tsv).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.quality import iou
from mobilesam import ImageError, Prompt
from mobilesam.embedding import ImageEmbedding, compute_embedding
from mobilesam.images import Photo, open_photo
from mobilesam.masks import Mask
from mobilesam.model.backend import ModelBackend, fast_backend
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import resolve_weights
from mobilesam.predict import predict_masks
from mobilesam.runtime import tune_process, usable_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
GRID_WH = (5, 2)
BOX_SHARE = (0.2, 0.6)


@dataclass(frozen=True)
class Agreement:
    """One prompt's two answers.

    Attributes:
        iou: of the two default masks.
        has_choice: whether the prompt has several candidates.
        same_candidate: whether both precisions rank the same one first.
    """

    iou: float
    has_choice: bool
    same_candidate: bool


def gridded_prompts(size_hw: tuple[int, int], seed: int) -> list[Prompt]:
    """Ten prompts, one in each cell of a grid: points and boxes in turn."""
    height, width = size_hw
    columns, rows = GRID_WH
    random = np.random.default_rng(seed)
    prompts = []
    for index in range(columns * rows):
        x = (index % columns + random.random()) / columns * width
        y = (index // columns + random.random()) / rows * height
        half_w, half_h = random.uniform(*BOX_SHARE, 2) * (width / 2, height / 2)
        box = (max(0.0, x - half_w), max(0.0, y - half_h), min(width, x + half_w), y + half_h)
        prompts.append(
            Prompt(box=(*box[:3], min(height, box[3]))) if index % 2 else Prompt([(x, y)], [1])
        )
    return prompts


def mask_agreement(one: Mask, other: Mask) -> float:
    """Intersection over union; two empty masks agree."""
    return iou(one, other) if one.any() or other.any() else 1.0


def relative_error(exact: torch.Tensor, rounded: torch.Tensor) -> float:
    """The norm of the difference over the norm."""
    return float((rounded - exact).norm() / exact.norm())


def compare_prompt(
    network: ModelBackend, exact: ImageEmbedding, rounded: ImageEmbedding, prompt: Prompt
) -> Agreement:
    """Decodes the prompt on both embeddings with the one decoder."""
    return compare_models(network, exact, network, rounded, prompt)


def compare_models(
    one: ModelBackend,
    exact: ImageEmbedding,
    other: ModelBackend,
    rounded: ImageEmbedding,
    prompt: Prompt,
) -> Agreement:
    """Decodes the prompt with two decoders, each on its own embedding."""
    ours, theirs = (
        backend.threads.click(partial(predict_masks, backend, embedding, prompt))
        for backend, embedding in ((one, exact), (other, rounded))
    )
    return Agreement(
        mask_agreement(ours.mask(ours.best), theirs.mask(theirs.best)),
        len(ours.iou_predictions) > 1,
        ours.best == theirs.best,
    )


def summary(agreements: Sequence[Agreement], errors: Sequence[float]) -> dict[str, float]:
    """The figures over all prompts and, for the errors, over all photos."""
    ious = np.array([agreement.iou for agreement in agreements])
    choices = [agreement for agreement in agreements if agreement.has_choice]
    return {
        "photos": len(errors),
        "prompts": len(agreements),
        "prompts_with_a_choice": len(choices),
        "mean_iou": float(ious.mean()),
        "lowest_iou": float(ious.min()),
        "share_below_0.9": float((ious < 0.9).mean()),
        "share_with_another_default": float(np.mean([not one.same_candidate for one in choices])),
        "embedding_relative_error_mean": float(np.mean(errors)),
        "embedding_relative_error_worst": float(np.max(errors)),
    }


def distinct_photos(folders: Iterable[Path]) -> Iterable[tuple[Path, Photo]]:
    """The photos of the folders by name; what is no photo, or is one a second time, is left out."""
    seen = set()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            try:
                photo = open_photo(path)
            except ImageError:
                continue
            if photo.digest not in seen:
                seen.add(photo.digest)
                yield path, photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, action="append", default=[], help="a folder")
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--at-most", type=int, help="stop after so many photos")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    tune_process()
    torch.set_num_threads(usable_cores())

    weights = resolve_weights(arguments.weights)
    sam = load_sam(weights.path, torch.device("cpu"))
    exact, rounded = (fast_backend(sam, dtype) for dtype in (torch.float32, torch.bfloat16))
    agreements: list[Agreement] = []
    rows: list[dict[str, object]] = []
    errors: list[float] = []
    for path, photo in distinct_photos([EXAMPLES, *arguments.photos]):
        if len(rows) == arguments.at_most:
            break
        one, other = (compute_embedding(network, photo, "") for network in (exact, rounded))
        prompts = gridded_prompts(photo.size_hw, int(photo.digest[:8], 16))
        answers = [compare_prompt(exact, one, other, prompt) for prompt in prompts]
        agreements += answers
        errors.append(relative_error(one.features, other.features))
        ious = [answer.iou for answer in answers]
        rows.append(
            {
                "photo": path.name,
                "embedding_relative_error": errors[-1],
                "mean_iou": float(np.mean(ious)),
                "lowest_iou": min(ious),
            }
        )
        print(
            f"{path.name:40} error {errors[-1]:.4f}  "
            f"mean IoU {rows[-1]['mean_iou']:.4f}  lowest {rows[-1]['lowest_iou']:.4f}",
            flush=True,
        )
    figures = summary(agreements, errors)
    for name, value in figures.items():
        print(f"{name:32} {value:.4f}" if isinstance(value, float) else f"{name:32} {value}")
    if arguments.json:
        report = {
            "machine": machine() | {"isa": torch.backends.cpu.get_cpu_capability()},
            "weights": weights.kind,
            "figures": figures,
            "photos": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
