"""Starts the real app.py for the tests that talk HTTP, and draws the photos they send."""

import os
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

from gradio_client import Client
from huggingface_hub import constants
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
START_S = 120
RED, YELLOW, BLUE = (220, 60, 40), (240, 220, 60), (40, 80, 220)
GROUND = (60, 90, 60)
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Disc:
    """A thing to click on: its centre and radius in pixels, and its colour."""

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


LEFT, RIGHT = Disc(90, 100, 50), Disc(220, 70, 30, YELLOW)


def draw(width=300, height=200, discs=(LEFT, RIGHT), ground=GROUND):
    """A photo with discs; the default one has a large red and a small yellow one."""
    photo = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(photo)
    for disc in discs:
        pen.ellipse(disc.box, fill=disc.colour)
    return photo


def save_rotated(photo, path, orientation=6):
    """Saves a photo as a camera held sideways does: turned pixels, and a tag to turn them back."""
    turned = photo.transpose(
        {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[orientation]
    )
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    turned.save(path, exif=exif, **options)
    return path


def iou(one, other):
    """How far two masks agree, from 0 to 1."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def connect(url):
    """A client of the HTTP API that talks to nobody else."""
    # Even without telemetry a client looks up on the Hub what kind of agent it may be run by.
    with mock.patch.object(constants, "HF_HUB_OFFLINE", True):
        return Client(url, verbose=False, analytics_enabled=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class App:
    """app.py in a process of its own; it can be stopped and started again on the same port."""

    def __init__(self, folder, **env):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.files = Path(folder)
        self._log = Path(folder) / f"app-{self.port}.log"
        self._env = {
            **{name: value for name, value in os.environ.items() if "MOBILESAM" not in name},
            "MOBILESAM_WEIGHTS": "bundled",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_TEMP_DIR": str(folder),
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self._process = None

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self._answers():
                return self
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"app.py did not start:\n{self.log()}")

    def stop(self):
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _answers(self):
        try:
            with urllib.request.urlopen(self.url + "config", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_app(**env):
    """A running App, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="mobilesam-app-") as folder:
        app = App(folder, **env)
        try:
            yield app.start()
        finally:
            app.stop()
