"""What the tests of the page's server functions share, and those of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.event_loop import run_async

if TYPE_CHECKING:
    from mobilesam import Segmenter
    from mobilesam.web.page.handlers import PageHandlers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The upload folder of this test."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def handlers(segmenter: Segmenter, folder: Path) -> Iterator[PageHandlers]:
    """The server functions, with the model loaded."""
    from tests.opening import new_handlers  # imports Gradio, which most unit tests do not need

    made = new_handlers(segmenter, folder)
    yield made
    made.files.datasets.close_where(lambda _: True)


@pytest.fixture
def photo(disc: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a user."""
    path = tmp_path_factory.mktemp("user") / "disc.png"
    Image.fromarray(disc).save(path)
    return path


@pytest.fixture
def ask(handlers: PageHandlers) -> Callable[..., dict[str, Any]]:
    """ask(tab="one", **query): the reply of the server function that writes a data set."""

    def call(tab: str = "one", **query: object) -> dict[str, Any]:
        return run_async(handlers.files.dataset(query, tab))

    return call


@pytest.fixture
def run_batch(monkeypatch, capsys, tmp_path):
    """run_batch(segmenter, *options) gives (status, stderr) of the batch in a fresh folder."""
    from mobilesam.cli import commands
    from mobilesam.cli.main import main  # imports Torch, which many unit tests do not need

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)

    def run(segmenter, *options):
        monkeypatch.setattr(commands, "load_segmenter", lambda args, settings: segmenter)
        argv = ["batch", "photos", "--prompts", "prompts.jsonl", "--out", "a.json", *options]
        return main(argv), capsys.readouterr().err

    return run
