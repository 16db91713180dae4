"""Drives the demo in Chromium as a user does, and reads what it shows."""

import base64
import io
import json
import re
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import TimeoutError

WAIT_MS = 30_000
VIEWPORT = {"width": 1280, "height": 900}
FILLED_HEIGHT = 760  # of the window, for a photo of 3:2 without a margin above and below it
SERVER_CALLS = re.compile(r"/component_server/?$")

_SETTLED = """(asked) => {
  const d = document.querySelector('.sam').dataset;
  return Number(d.asked || 0) > asked && d.shown === d.asked;
}"""
_SET_PREVIEW = """(isOn) => {
  const box = document.querySelector('[data-part=pointer-preview]');
  if (box.checked !== isOn) box.click();
}"""
_PIXELS = """(name) => {
  const c = document.querySelector('canvas[data-part=' + name + ']');
  return c.toDataURL('image/png');
}"""
# What keeps a value that the user has set; the names of objects go with their photo.
CONTROLS = "input:is([type=range], [type=number], [type=checkbox], [type=color]), select"
BARS = (".sam-head", ".sam-bar", ".sam-panel")
HELD_KEYS = ("Alt", "Control", "Meta", "Shift", "Space")  # a test may leave them pressed
# Back to what a new page shows. Opening a photo does the rest.
_RESET = """(controls) => {
  const root = document.querySelector('.sam');
  const press = (selector) => {
    const button = root.querySelector(selector);
    if (button && button.getAttribute('aria-pressed') !== 'true') button.click();
  };
  root.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close());
  press('[data-do=view-select]');
  press('[data-do=result-edges]');
  for (const toggle of ['compare', 'crop', 'all']) {
    root.querySelector(`[data-do=result-${toggle}][aria-pressed=true]`)?.click();
  }
  press('[data-do=tool-click]');
  press('[data-do=tap-add]');
  for (const control of root.querySelectorAll(controls)) {
    const options = [...(control.options ?? [])];
    const chosen = options.find((one) => one.defaultSelected) ?? options[0];
    if (control.type === 'checkbox') control.checked = control.defaultChecked;
    else control.value = chosen ? chosen.value : control.defaultValue;
    for (const type of ['input', 'change']) control.dispatchEvent(new Event(type, {bubbles: true}));
  }
  press('[data-background=none]');       // after the colour, which chooses itself
  root.querySelector('[data-do=everything-defaults]').click();
  root.querySelectorAll('details').forEach((details) => { details.open = false; });
  document.activeElement.blur();
  window.scrollTo(0, 0);
}"""


class Demo:
    """The demo in one page of the browser.

    Attributes:
        page: Playwright's page.
        calls: what the page has posted to server functions, oldest first.
        complaints: console errors and uncaught exceptions.
        preview: the setting "Preview under the pointer". Off, the server answers everything, and
            the pointer leaves no marks.
    """

    preview = False

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

    def load(self, url):
        """Goes to the page, or loads it anew."""
        self.page.goto(url)
        self.wait_loaded()

    def reload(self):
        self.page.reload()
        self.wait_loaded()

    def wait_loaded(self):
        self.page.wait_for_selector(".sam[data-loaded=yes]")
        self.set_preview(self.preview)

    def set_preview(self, is_on):
        """Sets "Preview under the pointer", which is on in a new page."""
        self.preview = is_on
        self.page.evaluate(_SET_PREVIEW, is_on)

    def wait_for_model(self):
        self.page.wait_for_selector(".sam[data-model=loaded]")

    def reset(self, photo):
        """Makes a page that was used like a new one in which this photo was opened."""
        self.page.unroute_all()
        if self.page.viewport_size != VIEWPORT:
            self.page.set_viewport_size(VIEWPORT)
        for key in HELD_KEYS:
            self.page.keyboard.up(key)
        self.page.evaluate(_RESET, CONTROLS)
        self.set_preview(False)
        self.page.mouse.move(0, 0)
        self.forget()
        self.open(photo)
        if self.alert():
            self.page.locator("[data-do=dismiss]").click()
        self.calls.clear()
        self.complaints.clear()

    def forget(self):
        """Closes all photos, and deletes all that the browser keeps."""
        self.page.evaluate("""() => {
          window.confirm = () => true;
          document.querySelector('[data-do=forget]').click();
        }""")
        self.wait_for(
            "() => /was deleted/.test(document.querySelector('[data-part=alert-text]').innerText)"
        )
        # Not by a click, which leaves the focus on the button.
        self.page.evaluate("() => document.querySelector('[data-do=dismiss]').click()")

    # -- what the page shows -----------------------------------------------------------------

    def data(self, name):
        return self.page.evaluate(
            "(name) => document.querySelector('.sam').dataset[name] || ''", name
        )

    def count(self, name):
        return int(self.data(name) or 0)

    def part(self, name):
        return self.page.locator(f"[data-part={name}]")

    def button(self, command):
        places = ", ".join(f"{place} [data-do={command}]" for place in BARS)
        return self.page.locator(places).filter(visible=True)

    def text(self, name):
        return self.part(name).inner_text()

    def alert(self):
        """The sentence shown above the buttons, or nothing."""
        return self.text("alert-text") if self.part("alert").is_visible() else ""

    def sent(self, name):
        """The queries of a server function, oldest first."""
        return [call["data"] for call in self.calls if call["fn_name"] == name]

    def interactions(self):
        """The interactions of every mask that was asked for, oldest first."""
        return [query["interactions"] for query in self.sent("segment")]

    def tokens(self):
        return {query["token"] for query in self.sent("segment")}

    def pixels(self, name):
        """A canvas as an (H, W, 4) uint8 array."""
        data = base64.b64decode(self.page.evaluate(_PIXELS, name).split(",", 1)[1])
        return np.array(Image.open(io.BytesIO(data)).convert("RGBA"))

    def mask(self):
        """The painted mask, (H, W) bool: the fill and the white line inside its edge."""
        alpha = self.pixels("mask")[..., 3]
        return (alpha == 0x6B) | (alpha == 0xFF)

    def zoom(self):
        return float(self.data("zoom") or 1)

    def seen(self):
        """What shows of the canvas, (H, W, 3) int, and where that begins on the page."""
        self.paint()
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

    def scale(self, width=300):
        """How many pixels of the page a pixel of a photo this wide has."""
        return self.part("photo").bounding_box()["width"] / width * self.zoom()

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

    # -- what the user does ------------------------------------------------------------------

    @contextmanager
    def opened(self):
        """Waits until what is done inside has opened one more photo."""
        ready = self.count("ready")
        yield
        self.wait_for_more("ready", ready)
        self.wait_for("() => document.querySelector('.sam').dataset.busy === 'no'")

    @contextmanager
    def refused(self):
        """Waits until what is done inside has failed."""
        failed = self.count("failed")
        yield
        self.wait_for_more("failed", failed)
        self.wait_for("() => document.querySelector('.sam').dataset.busy !== 'yes'")

    @contextmanager
    def answered(self):
        """Waits until the mask asked for inside, the newest one, is shown."""
        asked = self.count("asked")
        yield
        self.wait_for(_SETTLED, asked)

    def wait_for(self, condition, argument=None):
        try:
            self.page.wait_for_function(condition, arg=argument)
        except TimeoutError as error:
            state = self.page.evaluate("() => ({...document.querySelector('.sam')?.dataset})")
            calls = [call["fn_name"] for call in self.calls[-5:]]
            raise AssertionError(
                f"{state}, {self.alert()!r}, {self.complaints}, {calls}"
            ) from error

    def wait_for_more(self, name, count):
        """Waits until a counter of the page has passed a number."""
        self.wait_for(
            "([name, n]) => Number(document.querySelector('.sam').dataset[name] || 0) > n",
            [name, count],
        )

    def wait_settled(self):
        """Waits until the newest mask asked for is shown."""
        self.wait_for(_SETTLED, -1)

    def wait_for_objects(self, count):
        self.wait_for(
            "(n) => Number(document.querySelector('.sam').dataset.objects || 0) === n", count
        )

    def settle(self):
        """Waits until the page and its requests have had time to do what a test says they do not.

        A round trip to the server and two frames; what was on its way before it has arrived.
        """
        self.page.evaluate("() => fetch('healthz', {cache: 'no-store'})")
        self.paint()

    def paint(self):
        """Waits until the page has painted what it has drawn: two frames."""
        self.page.evaluate(
            "async () => { for (const _ of [1, 2]) await new Promise(requestAnimationFrame); }"
        )

    def open(self, path):
        with self.opened():
            self.choose_file(path)

    def choose_file(self, path):
        self.page.locator("input[data-part=file]").set_input_files(str(path))

    def fill_stage(self):
        """Gives the stage the shape of the photo, so that zooming keeps the pointer's place."""
        self.page.set_viewport_size({"width": VIEWPORT["width"], "height": FILLED_HEIGHT})
        self.settle()

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


class Gate:
    """Stands between page and server: holds requests, refuses them or answers in their place.

    Attributes:
        held: the routes of the requests that were held, oldest first.
    """

    def __init__(self, demo, take, name="segment"):
        """Puts the gate up, until `demo.page.unroute_all()`.

        Args:
            demo: whose requests come to it.
            take: called with this gate, a route and its query; false: the request passes.
            name: of the server function; calls of others pass.
        """
        self.held = []
        self._name = name
        self._take = take
        self._page = demo.page
        demo.page.route(SERVER_CALLS, self._pass)

    def _pass(self, route):
        call = json.loads(route.request.post_data)
        if call["fn_name"] != self._name or not self._take(self, route, call["data"]):
            route.continue_()

    def hold(self, route, _query=None):
        self.held.append(route)
        return True

    def wait_held(self, count):
        """Waits until so many requests are held."""
        for _ in range(2000):
            if len(self.held) >= count:
                return
            self._page.wait_for_timeout(10)
        raise AssertionError(f"{len(self.held)} of {count} requests have come")

    def release(self, count):
        """Waits until so many requests are held; these and all later ones pass."""
        self.wait_held(count)
        self._take = lambda *_: False
        for route in self.held:
            route.continue_()


def hold_opening(demo):
    """A gate that holds the requests by which photos are opened, after their upload."""
    return Gate(demo, Gate.hold, "open")
