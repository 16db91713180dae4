"""Starts the real application for the tests that talk HTTP, and draws the photos they send."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, ImageDraw

from tests.holds import Holds

ROOT = Path(__file__).resolve().parents[1]
START_S = 120
RED, YELLOW, BLUE = (220, 60, 40), (240, 220, 60), (40, 80, 220)
GROUND = (60, 90, 60)
ORIENTATION_TAG = 0x0112
HELD = ("-m", "tests.held_app")
"""Arguments of Python for an application whose work a test can hold back."""


@dataclass(frozen=True)
class Disc:
    """An object to click on: its centre and radius in pixels, and its colour."""

    x: int
    y: int
    radius: int
    colour: tuple[int, int, int] = RED

    @property
    def centre(self):
        return self.x, self.y

    @property
    def box(self):
        return (
            self.x - self.radius,
            self.y - self.radius,
            self.x + self.radius,
            self.y + self.radius,
        )

    def mask(self, shape=(200, 300)):
        """The pixels of the disc, (H, W) bool."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        return (x - self.x) ** 2 + (y - self.y) ** 2 <= self.radius**2


LEFT, RIGHT = Disc(90, 100, 50), Disc(220, 70, 30, YELLOW)


def draw(width=300, height=200, discs=(LEFT, RIGHT), ground=GROUND):
    """A photo with discs; the default one has a large red and a small yellow one."""
    photo = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(photo)
    for disc in discs:
        pen.ellipse(disc.box, fill=disc.colour)
    return photo


def save_rotated(photo, path, orientation=6):
    """Saves a photo as a camera held sideways does: rotated pixels and an orientation tag."""
    turned = photo.transpose(
        {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[orientation]
    )
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    turned.save(path, exif=exif, **options)
    return path


def iou(one, other):
    """The intersection over union of two masks, from 0 to 1."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def assert_same_masks(masks, expected):
    """Masks of two processes agree: one pixel in ten thousand may differ.

    Each process measures which library multiplies matrices faster, and they round differently.
    """
    assert masks.shape == expected.shape
    assert (masks != expected).mean() <= 1e-4


def connect(url):
    """A client of the HTTP API that talks to no other host."""
    from gradio_client import Client  # a second that the unit tests do not need
    from huggingface_hub import constants

    # Even without telemetry a client asks the Hub what kind of agent it may be run by.
    with mock.patch.object(constants, "HF_HUB_OFFLINE", True):
        return Client(url, verbose=False, analytics_enabled=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class App:
    """The application in a process of its own; it can be stopped and restarted on the same port.

    Attributes:
        url: of the page.
        files: the folder of all uploads and downloads.
        holds: holds work back, where the process is `tests.held_app`.
    """

    def __init__(self, folder, arguments=("app.py",), **env):
        self._arguments = arguments
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.files = Path(folder) / "files"
        self.files.mkdir()
        self.holds = Holds(Path(folder) / "holds")
        self._log = Path(folder) / "app.log"
        self._env = {
            **{name: value for name, value in os.environ.items() if "MOBILESAM" not in name},
            "MOBILESAM_WEIGHTS": "bundled",
            "MOBILESAM_PRECISION": "float32",  # as the fixture `bundled`, whatever is faster here
            "HF_HUB_OFFLINE": "1",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_TEMP_DIR": str(self.files),
            "PYTHONUNBUFFERED": "1",
            "TEST_HOLDS": str(self.holds.folder),
            **env,
        }
        self._process = None

    @property
    def pid(self):
        return self._process.pid

    def start(self):
        """Starts it and waits until the page is served; the model is loaded a little later."""
        self.launch()
        self.wait(self._answers)
        return self

    def wait(self, condition):
        """Waits until the condition is true or the process has ended."""
        deadline = time.monotonic() + START_S
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"The application ended, or did not do this:\n{self.log()}")
            time.sleep(0.05)

    def launch(self):
        """Starts it without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )

    def stop(self, signal_number=signal.SIGTERM):
        """Sends a signal and waits for the end: the exit status, None after 10 s."""
        if self._process is None:
            return None
        self.send_signal(signal_number)
        return self.ended()

    def send_signal(self, signal_number=signal.SIGTERM):
        self._process.send_signal(signal_number)

    def ended(self, timeout_s=10):
        """Waits for the end of the process: its exit status, None where it had to be killed."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
        finally:
            self._process = None

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def files_left(self):
        """Every file that belongs to a user."""
        found = os.walk(self.files)  # which passes over folders that go away meanwhile
        return [Path(folder, name) for folder, _, names in found for name in names]

    def _answers(self):
        try:
            with urllib.request.urlopen(self.url + "config", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_app(arguments=("app.py",), **env):
    """A running App, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="mobilesam-app-") as folder:
        app = App(folder, arguments, **env)
        try:
            yield app.start()
        finally:
            app.stop()
