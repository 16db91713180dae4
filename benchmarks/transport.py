"""What an answer weighs: a mask as our page gets it, as a PNG, and as the original's page gets it.

The original answers with a picture: the photo with the mask over it, which gradio writes as WebP.
Painting that picture is left out of its time, and so is the second picture that it sends along.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from PIL import Image

from benchmarks.original import composited
from mobilesam import Prompt, Segmenter
from mobilesam.export import mask_png
from mobilesam.images import scaled_size
from mobilesam.masks import Mask, mask_to_coco_rle

DISPLAY_SIDE = 1024


def mask_transport(photo: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Encodes one and the same mask, that of a click in the middle, at display size in turns.

    Returns:
        Seconds by way, and bytes by way.
    """
    segmenter = Segmenter.from_weights("bundled")
    opened = segmenter.open(photo)
    height, width = opened.size_hw
    prediction = segmenter.predict(segmenter.encode(opened), Prompt([(width / 2, height / 2)], [1]))
    display_hw = scaled_size(opened.size_hw, DISPLAY_SIDE)
    mask = prediction.mask(prediction.best, display_hw)
    shown = Image.fromarray(opened.pixels).resize(display_hw[::-1])
    with tempfile.TemporaryDirectory() as folder:
        ways = encodings(shown, mask, folder)
        sizes = {name: len(encode()) for name, encode in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, encode in ways.items():
                started = time.perf_counter()
                encode()
                seconds[name].append(time.perf_counter() - started)
    return seconds, sizes


def encodings(shown: Image.Image, mask: Mask, folder: str) -> dict[str, Callable[[], bytes]]:
    """The ways to send a mask of the shown photo; each gives the bytes that travel."""
    component = gr.Image(type="pil", interactive=False)
    component.GRADIO_CACHE = folder
    picture = composited(shown, mask)
    return {
        "original": lambda: Path(component.postprocess(picture).path).read_bytes(),
        "png": lambda: mask_png(mask),
        "ours": lambda: json.dumps(mask_to_coco_rle(mask)).encode(),
    }
