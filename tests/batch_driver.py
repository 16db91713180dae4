"""A batch run in a process of its own, with a cheap model, for tests that kill it.

    python -m tests.batch_driver LOG HOLD FOLDER --prompts FILE --out FILE

Every encode adds a line with the photo's name to LOG; the one after HOLD encodes never returns.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mobilesam.cli import commands
from mobilesam.cli.main import main
from mobilesam.images import open_photo
from mobilesam.settings import Settings


class CheapPrediction:
    """Three masks from the photo's brightness; the second is the best."""

    best = 1
    iou_predictions = np.array([0.25, 0.75, 0.5], np.float32)

    def __init__(self, pixels, prompt):
        corner = prompt.box[0] if prompt.box else prompt.point_coords[0][0]
        self._masks = [pixels[..., 0] > 12 * corner + level for level in (40, 80, 120)]

    def mask(self, index):
        return self._masks[index]


class CheapSegmenter:
    """What a batch asks of a Segmenter; remembers which photos were encoded."""

    weights = SimpleNamespace(kind="custom")
    photos_at_once = 1
    settings = Settings()

    def __init__(self, log=None, hold=10**9, checkpoint="cheap"):
        self.checkpoint = checkpoint
        self.encoded = []
        self._log, self._hold = log, hold

    def encode(self, path):
        photo = open_photo(path)
        if len(self.encoded) == self._hold:
            time.sleep(600)
        self.encoded.append(Path(path).name)
        if self._log:
            with self._log.open("a") as log:
                log.write(f"{Path(path).name}\n")
        return SimpleNamespace(original_size=photo.size_hw, pixels=photo.pixels)

    def predict(self, embedding, prompt):
        prompt.check_answerable(embedding.original_size)
        return CheapPrediction(embedding.pixels, prompt)


if __name__ == "__main__":
    _, log_name, hold_at, *argv = sys.argv
    cheap = CheapSegmenter(Path(log_name), int(hold_at))
    commands.load_segmenter = lambda args, settings: cheap
    sys.exit(main(["batch", *argv]))
