"""Starts the demo; what a Hugging Face Space runs."""

import logging
import os
import sys

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import torch

from mobilesam.errors import MobileSamError
from mobilesam.runtime import tune_allocator, usable_cores
from mobilesam.segmenter import Segmenter
from mobilesam.settings import Settings
from mobilesam.web.ui import build_demo, launch_options


def main() -> None:
    """Reads the settings, loads the model and serves the page until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tune_allocator()
    torch.set_num_threads(usable_cores())
    segmenter = Segmenter.from_weights(settings=Settings.from_env())
    logging.getLogger("mobilesam").info(
        "%s weights on %s (%s). %s",
        segmenter.weights.kind.capitalize(),
        segmenter.device,
        segmenter.network_name,
        segmenter.weights.reason,
    )
    build_demo(segmenter).launch(**launch_options(segmenter))


if __name__ == "__main__":
    try:
        main()
    except MobileSamError as error:
        sys.exit(f"The demo cannot start: {error}")
