"""How soon the next photo of a set can be clicked: `python -m benchmarks.switching`.

With and without encoding it ahead of time, in turns; and how long the clicks of another visitor
take while somebody goes through a set, or does not. Times in milliseconds; the page is driven in
Chromium, and its clock starts with the key that leads to the next photo.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.machine import machine
from tests.page import CLICK, visiting
from tests.serving import App, Disc, draw

CHROMIUM = shutil.which("chromium")
SIZE_WH = (3000, 2000)
PHOTOS = 12
VIEWING_S = 2.5  # how long a user works on a photo
_NO_AHEAD = """(functions) => {
  const fetched = window.fetch;
  window.fetch = (url, options) => {
    const body = typeof options?.body === 'string' ? options.body : '';
    if (!body.includes('"ahead":true')) return fetched(url, options);
    return Promise.resolve(new Response('{"ok": false, "error": "Not ahead."}'));
  };
}"""


def visit(browser: Browser, app: App, photos: list[Path], ahead: bool) -> list[float]:
    """Goes through a set; milliseconds until each next photo can be clicked."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    if not ahead:
        page.add_init_script(f"({_NO_AHEAD})()")
    page.goto(app.url)
    page.wait_for_selector(".sam[data-model=loaded]", timeout=120_000)
    page.locator("input[data-part=file]").set_input_files([str(path) for path in photos])
    _wait_ready(page, 1)
    times = []
    for count in range(2, len(photos) + 1):
        page.wait_for_timeout(1000 * VIEWING_S)
        began = time.perf_counter()
        page.keyboard.press("d")
        _wait_ready(page, count)
        times.append(1000 * (time.perf_counter() - began))
    context.close()
    return times


def _wait_ready(page: Page, count: int) -> None:
    page.wait_for_selector(f".sam[data-ready='{count}']", timeout=60_000)


class Visitor(threading.Thread):
    """Clicks in another photo twice a second until `is_wanted` is false."""

    def __init__(self, app: App, photo: Path) -> None:
        super().__init__()
        self.app, self.photo = app, photo
        self.times: list[float] = []
        self.is_wanted = True

    def run(self) -> None:
        with visiting(self.app.url) as page:
            token = page.open(self.photo, "visitor")
            with page.stay("visitor"):
                while self.is_wanted:
                    x = 100 + len(self.times) % 50
                    query = {"token": token, "interactions": [{**CLICK, "x": x, "y": x}]}
                    began = time.perf_counter()
                    page.post("segment", query)
                    self.times.append(1000 * (time.perf_counter() - began))
                    time.sleep(0.5)


def figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"n": len(times), "p50": round(statistics.median(times)), "p95": round(p95)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    switches: dict[str, list[float]] = {"ahead": [], "not ahead": []}
    clicks: dict[str, list[float]] = {"ahead": [], "not ahead": [], "alone": []}
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        app = App(folder)
        app.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        count = 0
        for _ in range(args.rounds):
            for kind in ("ahead", "not ahead", "alone"):
                count += 1
                photos = [folder / f"{count}-{k}.jpg" for k in range(PHOTOS)]
                for k, path in enumerate(photos):
                    disc = Disc(900 + 50 * k, 800, 300)
                    draw(*SIZE_WH, [disc], ground=(30 + count, 90 + k, 60)).save(path)
                visitor = Visitor(app, photos[-1])
                visitor.start()
                if kind == "alone":
                    time.sleep(PHOTOS * VIEWING_S)
                else:
                    switches[kind] += visit(browser, app, photos[:-1], kind == "ahead")
                visitor.is_wanted = False
                visitor.join()
                clicks[kind] += visitor.times
        app.stop()
    result = {
        "machine": machine(),
        "next photo": {kind: figures(times) for kind, times in switches.items()},
        "clicks of another visitor": {kind: figures(times) for kind, times in clicks.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
