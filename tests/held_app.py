"""app.py whose work a test can hold back: load, encode, click, everything, export.

TEST_HOLDS=FOLDER python -m tests.held_app
"""

import functools
import os
from pathlib import Path

from mobilesam.web import app
from mobilesam.web.page import file_handlers, handlers
from tests.holds import Holds

holds = Holds(Path(os.environ["TEST_HOLDS"]))


def holding(name, call):
    """The same call, which waits while it is held."""

    @functools.wraps(call)
    def wrapped(*args, **kwargs):
        holds.pass_through(name)
        return call(*args, **kwargs)

    return wrapped


def patch_model():
    from mobilesam import segmenter

    work = segmenter.Segmenter
    segmenter.compute_embedding = holding("encode", segmenter.compute_embedding)
    work.iter_everything = holding("everything", work.iter_everything)


def loading(load):
    """Loads the model as app.py does, after the page is there."""

    def wrapped(*args):
        holds.pass_through("load")
        patch_model()
        return load(*args)

    return wrapped


if __name__ == "__main__":
    handlers.rle_area = holding("click", handlers.rle_area)  # in the middle of `segment`
    file_handlers.mask_png = holding("export", file_handlers.mask_png)
    app._load = loading(app._load)
    app.serve_page()
