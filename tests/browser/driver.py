"""Drives the page in Chromium as a visitor does, and reads what it shows."""

import base64
import io
import json
import re
from contextlib import contextmanager

import numpy as np
from PIL import Image

WAIT_MS = 60_000
SERVER_CALLS = re.compile(r"/component_server/?$")

_SETTLED = """(asked) => {
  const d = document.querySelector('.sam').dataset;
  return Number(d.asked || 0) > asked && d.shown === d.asked;
}"""
_ALPHA = """(name) => {
  const c = document.querySelector('canvas[data-part=' + name + ']');
  return [c.height, c.width, c.toDataURL('image/png')];
}"""


class Visitor:
    """One page of one visitor.

    Attributes:
        page: Playwright's page.
        calls: what the page has posted to server functions, oldest first.
        complaints: console errors and uncaught exceptions.
    """

    def __init__(self, page):
        self.page = page
        self.calls = []
        self.complaints = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", self._note_call)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _note_call(self, request):
        if SERVER_CALLS.search(request.url) and request.method == "POST":
            self.calls.append(json.loads(request.post_data))

    def _note_console(self, message):
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    # -- what the page says ------------------------------------------------------------------

    def data(self, name):
        return self.page.evaluate(
            "(name) => document.querySelector('.sam').dataset[name] || ''", name
        )

    def count(self, name):
        return int(self.data(name) or 0)

    def part(self, name):
        return self.page.locator(f"[data-part={name}]")

    def button(self, command):
        return self.page.locator(f".sam-bar [data-do={command}], .sam-panel [data-do={command}]")

    def text(self, name):
        return self.part(name).inner_text()

    def alert(self):
        """The sentence shown above the buttons, or nothing."""
        return self.text("alert-text") if self.part("alert").is_visible() else ""

    def histories(self):
        """The histories asked for, oldest first."""
        return [call["data"]["history"] for call in self.calls if call["fn_name"] == "segment"]

    def tokens(self):
        return {call["data"]["token"] for call in self.calls if call["fn_name"] == "segment"}

    def pixels(self, name):
        """A canvas as an (H, W, 4) uint8 array."""
        _, _, url = self.page.evaluate(_ALPHA, name)
        data = base64.b64decode(url.split(",", 1)[1])
        return np.array(Image.open(io.BytesIO(data)).convert("RGBA"))

    def mask(self):
        """The painted mask, (H, W) bool: the fill and the white line inside its edge."""
        alpha = self.pixels("mask")[..., 3]
        return (alpha == 0x6B) | (alpha == 0xFF)

    def zoom(self):
        return float(self.data("zoom") or 1)

    def seen(self):
        """What shows of the canvas, (H, W, 3) int, and where that begins on the page."""
        box = self.part("marks").bounding_box()
        left, top = int(box["x"]) + 4, int(box["y"]) + 4  # within the frame of the focus
        width, height = int(box["width"]) - 8, int(box["height"]) - 8
        data = self.page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
        return np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(int), (left, top)

    def find(self, colour, tolerance=40):
        """The middle of a colour on the page, and its width and height there."""
        pixels, (left, top) = self.seen()
        rows, columns = np.nonzero(np.abs(pixels - colour).max(axis=2) <= tolerance)
        x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        return (left + (x0 + x1) / 2, top + (y0 + y1) / 2), (x1 - x0, y1 - y0)

    def marks(self):
        """How many pixels of the marker layer are painted."""
        return int((self.pixels("marks")[..., 3] > 0).sum())

    def candidates(self):
        return self.part("candidates").locator("button")

    def pressed(self):
        """The index of the chosen candidate."""
        return [
            index
            for index, button in enumerate(self.candidates().all())
            if button.get_attribute("aria-pressed") == "true"
        ]

    # -- what the visitor does ---------------------------------------------------------------

    @contextmanager
    def opened(self):
        """Waits until what is done inside has opened one more photo."""
        ready = self.count("ready")
        yield
        self.wait_for("(n) => Number(document.querySelector('.sam').dataset.ready || 0) > n", ready)
        self.wait_for("() => document.querySelector('.sam').dataset.busy === 'no'")

    @contextmanager
    def refused(self):
        """Waits until what is done inside has failed."""
        failed = self.count("failed")
        yield
        self.wait_for(
            "(n) => Number(document.querySelector('.sam').dataset.failed || 0) > n", failed
        )
        self.wait_for("() => document.querySelector('.sam').dataset.busy !== 'yes'")

    @contextmanager
    def answered(self):
        """Waits until the mask asked for inside, the newest one, is shown."""
        asked = self.count("asked")
        yield
        self.wait_for(_SETTLED, asked)

    def wait_for(self, condition, argument=None):
        self.page.wait_for_function(condition, arg=argument)

    def open(self, path):
        with self.opened():
            self.choose_file(path)

    def choose_file(self, path):
        self.page.locator("input[data-part=file]").set_input_files(str(path))

    def place(self, x, y):
        """Where the middle of a photo's pixel lies on the page, while the whole photo shows."""
        box = self.part("photo").bounding_box()
        width, height = self.page.evaluate(
            "() => document.querySelector('.sam-frame').style.aspectRatio.split(' / ').map(Number)"
        )
        return (
            box["x"] + (x + 0.5) * box["width"] / width,
            box["y"] + (y + 0.5) * box["height"] / height,
        )

    def press(self, xy, button="left", modifier=None):
        """Clicks a pixel of the photo, without waiting for the answer."""
        if modifier:
            self.page.keyboard.down(modifier)
        self.page.mouse.click(*self.place(*xy), button=button)
        if modifier:
            self.page.keyboard.up(modifier)

    def click(self, xy, button="left", modifier=None):
        """Clicks a pixel of the photo and waits for the mask."""
        with self.answered():
            self.press(xy, button, modifier)

    def drag(self, start, end):
        """Draws a box between two pixels of the photo, and waits for the mask."""
        with self.answered():
            self.page.mouse.move(*self.place(*start))
            self.page.mouse.down()
            self.page.mouse.move(*self.place(*end), steps=4)
            self.page.mouse.up()

    def do(self, command):
        self.button(command).first.click()

    def download(self, command):
        """The file that a download button saves: its suggested name and its bytes."""
        with self.page.expect_download() as saved:
            self.do(command)
        with open(saved.value.path(), "rb") as file:
            return saved.value.suggested_filename, file.read()


def wait_for_held(visitor, held, count):
    """Until so many requests are held back."""
    for _ in range(400):
        if len(held) >= count:
            return
        visitor.page.wait_for_timeout(50)
    raise AssertionError(f"{len(held)} of {count} requests have come")
