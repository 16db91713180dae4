"""What all tests share: no network, drawn photos, a cheap model, one running application."""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["MOBILESAM_PRECISION"] = "float32"  # for programs, whose masks are compared
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; the workers share the cores

import gc
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilesam import Settings
from tests.serving import HELD, App, draw, running_app

if TYPE_CHECKING:  # pytest-xdist imports this file once more than there are workers
    from playwright.sync_api import Browser
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam

    from mobilesam import Segmenter
    from mobilesam.model.weights import Weights

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
MODEL_FIXTURES = {"bundled", "bundled_sam", "app", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that load the real model."""
    for item in items:
        if MODEL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Spares the garbage collector the imported modules: a fifth of the time of the fast tests."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Spares the process a last collection, which takes seconds, before it ends."""
    gc.freeze()


DrawDisc = Callable[..., NDArray[np.uint8]]

_HERE = {None, "", "localhost", "::1", "::", "0.0.0.0", socket.gethostname()}


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name in _HERE or (isinstance(name, str) and name.startswith("127."))


@pytest.fixture(scope="session", autouse=True)
def _outside_calls() -> Iterator[list[object]]:
    """Refuses and records every connection and look-up beyond this machine."""
    calls: list[object] = []
    connect, connect_ex, look_up = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def refuse_unless(here: bool, address: object) -> None:
        if not here:
            calls.append(address)
            raise OSError(f"The tests run offline, but this was called: {address}")

    def guarded_connect(self: socket.socket, address: object) -> None:
        refuse_unless(self.family == socket.AF_UNIX or _is_here(address[0]), address)
        return connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: object) -> int:
        refuse_unless(self.family == socket.AF_UNIX or _is_here(address[0]), address)
        return connect_ex(self, address)

    def guarded_look_up(host: object, *args: object, **kwargs: object) -> object:
        refuse_unless(_is_here(host), host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield calls


@pytest.fixture(autouse=True)
def _offline(_outside_calls: list[object]) -> Iterator[None]:
    """Fails the test that called another machine, even where the code handled the refusal."""
    _outside_calls.clear()
    yield
    assert not _outside_calls


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the settings of the shell from which the tests are run."""
    for name in [name for name in os.environ if name.startswith("MOBILESAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _prompting() -> tuple[PromptEncoder, MaskDecoder]:
    """segment-anything's own prompt encoder and decoder with seeded random weights."""
    import torch

    from mobilesam.model.sam import build_sam

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        sam = build_sam().eval().requires_grad_(False)
    return sam.prompt_encoder, sam.mask_decoder


@pytest.fixture
def stub_sam(_prompting: tuple[PromptEncoder, MaskDecoder]) -> Sam:
    """A model whose `image_encoder.calls` and `mask_decoder.calls` count."""
    from segment_anything.modeling import Sam

    from tests.stub_model import Counted, PooledPixels

    prompt_encoder, mask_decoder = _prompting
    return Sam(Counted(PooledPixels()), prompt_encoder, Counted(mask_decoder)).eval()


@pytest.fixture
def stub_weights() -> Weights:
    from mobilesam.model.weights import Weights

    return Weights(Path("stub.pt"), "custom", "A stub for the tests.")


@pytest.fixture
def segmenter(stub_sam: Sam, stub_weights: Weights) -> Segmenter:
    """A Segmenter around `stub_sam`, whose counters a test can ask for too."""
    from mobilesam import Segmenter
    from mobilesam.model.backend import plain_backend

    return Segmenter(plain_backend(stub_sam), stub_weights, checkpoint="stub", settings=Settings())


@pytest.fixture(scope="session")
def bundled() -> Segmenter:
    """The real model with the bundled weights; it keeps the embeddings of photos."""
    from mobilesam import Segmenter

    settings = Settings(precision="float32")
    return Segmenter.from_weights("bundled", device="cpu", settings=settings)


@pytest.fixture(scope="session")
def app() -> Iterator[App]:
    """The application on the bundled weights, for all tests that need not start their own."""
    with running_app(HELD, MOBILESAM_MCP="1") as running:
        yield running


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, 300 x 200: a red disc on the left and a yellow one on the right."""
    path = tmp_path_factory.mktemp("photos") / "discs.png"
    draw().save(path)
    return path


@pytest.fixture(scope="session")
def tell() -> Callable[[str], None]:
    """tell(figures): a line that `pytest -s` shows."""

    def tell_line(figures: str) -> None:
        print(f"\n{figures}", end="")  # noqa: T201

    return tell_line


@pytest.fixture(scope="session")
def bundled_sam() -> Sam:
    """The plain modules with the bundled weights."""
    import torch

    from mobilesam.model.sam import load_sam
    from mobilesam.model.weights import WEIGHTS_DIR

    return load_sam(WEIGHTS_DIR, torch.device("cpu"))


@pytest.fixture(scope="session")
def draw_disc() -> DrawDisc:
    """draw_disc(seed=0, size_hw=(120, 180)): a bright textured disc on a dark textured ground."""

    def draw(seed: int = 0, size_hw: tuple[int, int] = (120, 180)) -> NDArray[np.uint8]:
        height, width = size_hw
        rows, columns = np.mgrid[:height, :width]
        inside = np.hypot(rows - height / 2, columns - width / 2) < min(size_hw) / 4
        texture = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
        colours = np.where(inside[..., None], [180, 150, 60], [20, 60, 90])
        return (colours + texture).astype(np.uint8)

    return draw


@pytest.fixture
def disc(draw_disc: DrawDisc) -> NDArray[np.uint8]:
    """(120, 180, 3) uint8: the disc's centre is at x 90, y 60, its radius 30."""
    return draw_disc()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; a worker can have one Playwright only."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("The browser tests need Chromium: apt-get install chromium.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()
