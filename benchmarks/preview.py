"""Previews and first answers of the browser's decoder: `python -m benchmarks.preview`.

In Chromium, on the real page: previews a second and the time from a move of the mouse to its
painted outline, and the processor time of the server meanwhile; the time from a click to the first
painted mask over networks with some round trips, with the browser's decoder and without, in turns;
the bytes that a photo and a visitor cost; the memory of the page over many photos.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.delaying_proxy import DelayingProxy, delaying_proxy
from benchmarks.load_report import percentile
from benchmarks.machine import machine
from benchmarks.serving import ROOT, ServedApp, served_app
from mobilesam.settings import MEGA
from tests.serving import Disc, draw

WAIT_MS = 120_000
MOVE_MS = 16  # between two moves of the mouse
ROUND_TRIPS_MS = (0, 100, 250)
CLICKS_IN_TURN = 4
REST_MS = 200  # of the pointer on an object before the click
_SETTING = "document.querySelector('[data-part=pointer-preview]')"
# Notes when each outline and the first mask after a click were painted. An outline is for the last
# move before its order went to the worker.
PROBE = """
window.probe = {moved: 0, asked: 0, outlines: [], up: 0, masked: 0};
const painted = (note) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => note(performance.now());
  channel.port2.postMessage(0);
});
addEventListener('pointermove', () => { probe.moved = performance.now(); }, true);
addEventListener('pointerup', () => { probe.up = performance.now(); probe.masked = 0; }, true);
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (order, ...rest) {
  if (order.name === 'outline') probe.asked = probe.moved;
  return post.call(this, order, ...rest);
};
let last = null;
const {fill, drawImage} = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fill = function (...args) {
  fill.apply(this, args);
  const [path] = args;
  if (this.canvas.dataset.part !== 'marks' || !(path instanceof Path2D) || path === last) return;
  last = path;
  const {asked} = probe;
  painted((now) => probe.outlines.push(now - asked));
};
CanvasRenderingContext2D.prototype.drawImage = function (...args) {
  drawImage.apply(this, args);
  if (this.canvas.dataset.part !== 'mask' || probe.masked) return;
  probe.masked = 1;
  painted((now) => { probe.masked = now; });
};
"""


class Visitor:
    """One page, and what it has downloaded to decode."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.bytes: dict[str, int] = {}
        self.browser = browser
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("response", self._note)
        self.page.add_init_script(PROBE)
        self.page.goto(address)
        self.page.wait_for_selector(".sam[data-model=loaded]")
        self.opened = 0

    def _note(self, response: Any) -> None:
        if "/decoder/" in response.url and response.ok:
            name = response.url.rsplit("/decoder/", 1)[1].split("/")[0]
            self.bytes[name] = int(response.headers.get("content-length", 0))

    def open(self, photo: Path) -> None:
        self.page.locator("input[data-part=file]").set_input_files(photo)
        self.opened += 1
        self.page.wait_for_selector(f".sam[data-ready='{self.opened}'][data-busy=no]")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a share of the photo's width and height is on the page."""
        box = self.page.locator("canvas[data-part=photo]").bounding_box()
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y

    def prepare(self, is_on: bool) -> None:
        """Sets the preview; on, it waits until the browser can decode."""
        self.page.evaluate(
            f"(isOn) => {{ if ({_SETTING}.checked !== isOn) {_SETTING}.click(); }}", is_on
        )
        self.page.mouse.move(*self.place(0.5, 0.5))
        if is_on:
            self.page.mouse.move(*self.place(0.51, 0.5))
            self.page.wait_for_selector(".sam:is([data-decoder=ready], [data-decoder=off])")
            if self.page.locator(".sam[data-decoder=off]").count():
                raise SystemExit("The browser takes too long to decode. Is the machine busy?")

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the page's process with its worker, and the page's JavaScript heap."""
        processes = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        renderers = [one["id"] for one in processes["processInfo"] if one["type"] == "renderer"]
        session = self.page.context.new_cdp_session(self.page)
        session.send("Performance.enable")
        metrics = {
            one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]
        }
        resident = max(psutil.Process(one).memory_info().rss for one in renderers)
        return {"resident_mb": resident / 1e6, "heap_mb": metrics["JSHeapUsedSize"] / 1e6}


def move_figures(visitor: Visitor, app: ServedApp, seconds: float) -> dict[str, float]:
    """Moves the mouse in loops over the photo."""
    visitor.prepare(is_on=True)
    visitor.page.evaluate("() => { probe.outlines.length = 0; }")
    server = psutil.Process(app.process_id)
    cpu_before, started, moves = sum(server.cpu_times()[:2]), time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        x, y = 0.5 + 0.4 * math.cos(1.5 * elapsed), 0.5 + 0.4 * math.sin(2.5 * elapsed)
        visitor.page.mouse.move(*visitor.place(x, y))
        visitor.page.wait_for_timeout(MOVE_MS)
        moves += 1
    delays = visitor.page.evaluate("probe.outlines")
    return {
        "seconds": round(elapsed, 1),
        "moves_per_s": moves / elapsed,
        "previews_per_s": len(delays) / elapsed,
        "move_to_paint_p50_ms": percentile(delays, 0.5),
        "move_to_paint_p95_ms": percentile(delays, 0.95),
        "server_cpu_cores": (sum(server.cpu_times()[:2]) - cpu_before) / elapsed,
    }


def click_ms(visitor: Visitor, index: int) -> float:
    """From mouse-up to the first painted mask of a new object."""
    visitor.page.keyboard.press("Escape")
    place = visitor.place(0.2 + index * 37 % 60 / 100, 0.2 + index * 53 % 60 / 100)
    visitor.page.mouse.move(*place)
    visitor.page.wait_for_timeout(REST_MS)
    visitor.page.mouse.click(*place)
    visitor.page.wait_for_function("() => probe.masked > probe.up", polling=10)
    delay = visitor.page.evaluate("probe.masked - probe.up")
    visitor.page.wait_for_timeout(400)  # until the server has answered too
    return float(delay)


def click_figures(
    visitor: Visitor, proxy: DelayingProxy, turns: int
) -> dict[str, dict[str, float]]:
    """The medians of clicks with and without the browser's decoder, by round trip."""
    figures = {}
    for round_trip_ms in ROUND_TRIPS_MS:
        proxy.round_trip_s = round_trip_ms / 1000
        delays: dict[str, list[float]] = {"on": [], "off": []}
        for turn in range(2 * turns):
            is_on = turn % 2 == 0
            visitor.prepare(is_on)
            clicks = [click_ms(visitor, CLICKS_IN_TURN * turn + k) for k in range(CLICKS_IN_TURN)]
            delays["on" if is_on else "off"] += clicks
        figures[str(round_trip_ms)] = {name: statistics.median(ms) for name, ms in delays.items()}
    proxy.round_trip_s = 0.0
    return figures


def memory_figures(visitor: Visitor, photos: int, folder: Path) -> list[dict[str, float]]:
    """The page's memory while it decodes on one photo after the other."""
    course = []
    for index in range(photos):
        path = folder / f"photo-{index}.png"
        draw(1024, 683, [Disc(200 + 30 * index, 300, 120)]).save(path)
        visitor.open(path)
        visitor.prepare(is_on=True)
        visitor.page.mouse.move(*visitor.place(0.3, 0.45))
        visitor.page.wait_for_timeout(500)
        course.append({"photos": index + 1, **visitor.memory_mb()})
    return course


def measure(app: ServedApp, browser: Browser, arguments: argparse.Namespace) -> dict[str, Any]:
    with delaying_proxy(app.port) as proxy, tempfile.TemporaryDirectory() as folder:
        visitor = Visitor(browser, f"http://127.0.0.1:{proxy.port}/")
        visitor.open(arguments.photo)
        moves = move_figures(visitor, app, arguments.seconds)
        clicks = click_figures(visitor, proxy, arguments.turns)
        course = memory_figures(visitor, arguments.photos, Path(folder))
        per_photo = visitor.bytes.pop("embedding")
    return {
        "moves": moves,
        "click_to_first_paint_ms": clicks,
        "bytes_per_photo": per_photo,
        "bytes_per_visitor": visitor.bytes,
        "memory": course,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=ROOT / "examples" / "street.jpg")
    parser.add_argument("--seconds", type=float, default=60, help="of a moving mouse")
    parser.add_argument("--turns", type=int, default=5, help="of clicks with each setting")
    parser.add_argument("--photos", type=int, default=20, help="to open for the memory")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with served_app() as app, sync_playwright() as playwright:
        app.seconds_to_page()
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=CHROMIUM_FLAGS
        )
        figures = measure(app, browser, arguments)
        browser.close()
    for name, value in figures["moves"].items():
        print(f"{name:24} {value:.2f}")
    for round_trip_ms, medians in figures["click_to_first_paint_ms"].items():
        print(f"{round_trip_ms + ' ms round trip':24} " + json.dumps(medians))
    print(f"{'MB per photo':24} {figures['bytes_per_photo'] / MEGA:.2f}")
    print(f"{'MB per visitor':24} {sum(figures['bytes_per_visitor'].values()) / MEGA:.2f}")
    for row in (figures["memory"][0], figures["memory"][-1]):
        print(json.dumps({name: round(value) for name, value in row.items()}))
    if arguments.json:
        report = {"machine": machine(), **figures}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
