"""Starts the real app.py for the tests that talk HTTP, and draws the photos they send."""

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

    def __init__(self, folder, arguments=("app.py",), **env):
        self._arguments = arguments
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
        """Starts it and waits until the page is served; the model is loaded a little later."""
        self.launch()
        self.wait(self._answers)
        return self

    def wait(self, condition):
        """Waits until it is true, as long as the process lives."""
        deadline = time.monotonic() + START_S
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"app.py ended, or did not do what it should:\n{self.log()}")
            time.sleep(0.05)

    def wait_logged(self, text):
        """Waits until the log has it."""
        self.wait(lambda: text in self.log())

    def launch(self):
        """Starts it and waits for nothing."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )

    def stop(self, signal_number=signal.SIGTERM):
        """Sends it a signal: its exit status, None where it had to be killed after 10 s."""
        if self._process is None:
            return None
        self._process.send_signal(signal_number)
        return self.ended()

    def ended(self, timeout_s=10):
        """Waits for its end: its exit status, None where it had to be killed."""
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

    def _answers(self):
        try:
            with urllib.request.urlopen(self.url + "config", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def running_app(arguments=("app.py",), **env):
    """A running App, stopped at the end; other arguments run a program that starts one."""
    with tempfile.TemporaryDirectory(prefix="mobilesam-app-") as folder:
        app = App(folder, arguments, **env)
        try:
            yield app.start()
        finally:
            app.stop()
