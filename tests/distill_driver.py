"""Distils with a checkpoint after every step, in a process that a test can kill.

python -m tests.distill_driver PHOTOS OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from mobilesam.model.weights import WEIGHTS_DIR
from mobilesam.training.distill import DistillOptions
from mobilesam.training.options import LoopOptions


def options(photos: Path, out: Path) -> DistillOptions:
    """Eight steps of the scheme that uses everything: prompts, masks and the learning decoder."""
    return DistillOptions(
        teacher=WEIGHTS_DIR,
        photos=photos,
        scheme="coupled",
        out=out,
        size=64,
        batch=2,
        held_out=1,
        loop=LoopOptions(steps=8, checkpoint_seconds=0),
    )


if __name__ == "__main__":
    from mobilesam.training.distill import distill

    distill(options(Path(sys.argv[1]), Path(sys.argv[2])), print, quiet=True)
