"""Everything in the example photos, and how it agrees: `python -m benchmarks.everything`.

For each photo the regions and the share of it that they cover, at segment-anything's thresholds and
at those for the weights. For the photos named with --against also SamAutomaticMaskGenerator's
answer to the same weights and options: of either side's regions, the share that has one of the
other side's with an IoU of at least 0.9.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator

from mobilesam import EverythingOptions, Segmenter, Settings
from mobilesam.masks import Mask
from mobilesam.model.sam import load_sam
from mobilesam.runtime import tune_process, usable_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MATCH_IOU = 0.9
OWN_OPTIONS = ("min_area_share", "mask_nms_thresh")  # which segment-anything does not have


def matched(ones: Sequence[Mask], others: Sequence[Mask]) -> float:
    """The share of the ones that have a partner among the others."""
    best = [
        max((np.count_nonzero(a & b) / np.count_nonzero(a | b) for b in others), default=0.0)
        for a in ones
    ]
    return float(np.mean([iou >= MATCH_IOU for iou in best])) if best else float(not others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="bundled")
    parser.add_argument("--points-per-side", type=int, default=16)
    parser.add_argument("--min-area", type=int, default=0)
    parser.add_argument("--against", nargs="*", default=[], metavar="PHOTO", help="stem, as in cat")
    arguments = parser.parse_args()
    tune_process()
    torch.set_num_threads(usable_cores())

    segmenter = Segmenter.from_weights(arguments.weights, settings=Settings())
    sam = load_sam(segmenter.weights.path, segmenter.backend.device)
    given = {
        "points_per_side": arguments.points_per_side,
        "min_mask_region_area": arguments.min_area,
    }
    for path in sorted(EXAMPLES.glob("*.[jp][pn]g")):
        photo = segmenter.open(path)
        embedding = segmenter.encode(photo)
        for options in (EverythingOptions(**given), segmenter.everything_options(given)):
            masks = [r.mask for r in segmenter.everything(embedding, **asdict(options))]
            covered = np.any(masks, axis=0).mean() if masks else 0.0
            thresholds = f"{options.pred_iou_thresh:g}/{options.stability_score_thresh:g}"
            line = f"{path.stem:8} {thresholds:9} {len(masks):3d} regions cover {covered:4.0%}"
            if path.stem in arguments.against:
                theirs_too = {k: v for k, v in asdict(options).items() if k not in OWN_OPTIONS}
                answer = SamAutomaticMaskGenerator(sam, **theirs_too).generate(photo.pixels)
                theirs = [record["segmentation"] for record in answer]
                line += (
                    f", {len(theirs)} by the original; "
                    f"matched {matched(masks, theirs):.1%} and {matched(theirs, masks):.1%}"
                )
            print(line, flush=True)


if __name__ == "__main__":
    main()
