"""From mouse-up to painted mask in a real Chromium: `python -m benchmarks.click_to_paint`.

Every click is a new single point on an encoded photo. Reported are the whole way, the decode that
the server reports, their difference (what the interface costs), and the bytes on the wire.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.machine import machine
from benchmarks.serving import ROOT, served_app

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
# Notes when the mouse went up and when the frame that holds the new mask was painted.
PROBE = """
window.probe = {up: 0, painted: 0};
addEventListener('pointerup', () => { probe.up = performance.now(); probe.painted = 0; }, true);
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...args) {
  draw.apply(this, args);
  if (this.canvas.dataset.part !== 'mask') return;
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { probe.painted = performance.now(); };
    channel.port2.postMessage(0);
  });
};
"""


_WITHOUT_PREVIEW = """() => {
  const box = document.querySelector('[data-part=pointer-preview]');
  if (box.checked) box.click();
}"""
_PAINTED = """async () => {
  for (const _ of [1, 2, 3]) await new Promise(requestAnimationFrame);
}"""


class Wire:
    """Counts the bytes of request bodies and of response bodies as they travel."""

    def __init__(self, session: CDPSession) -> None:
        self.sent = self.received = self.requests = 0
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._on_request)
        session.on("Network.dataReceived", self._on_data)

    def reset(self) -> None:
        self.sent = self.received = self.requests = 0

    def _on_request(self, event: dict) -> None:
        if event["request"]["url"].startswith("http"):
            self.requests += 1
            self.sent += len(event["request"].get("postData", "").encode())

    def _on_data(self, event: dict) -> None:
        self.received += event.get("encodedDataLength") or event["dataLength"]


def measure(page: Page, photo: Path, clicks: int) -> dict[str, object]:
    """Clicks on a photo of the page and reports medians over the clicks.

    The setting "Preview under the pointer" is switched off, because otherwise the page paints the
    mask that it decodes itself before that of the server.
    """
    page.evaluate(_WITHOUT_PREVIEW)
    page.locator("input[data-part=file]").set_input_files(photo)
    page.wait_for_selector(".sam[data-ready='1']", timeout=60_000)
    replies: list[dict] = []
    page.on("response", lambda r: replies.append(r.json()) if "component_server" in r.url else None)
    wire = Wire(page.context.new_cdp_session(page))
    box = page.locator("canvas[data-part=photo]").bounding_box()
    warm_up, ways = 3, []
    for index in range(warm_up + clicks):
        if index == warm_up:
            page.wait_for_timeout(500)
            wire.reset()
            replies.clear()
        page.keyboard.press("Escape")
        page.evaluate(_PAINTED)  # the photo without a mask
        x = box["x"] + box["width"] * (0.2 + 0.6 * (index * 37 % 100) / 100)
        y = box["y"] + box["height"] * (0.2 + 0.6 * (index * 53 % 100) / 100)
        page.mouse.click(x, y)
        page.wait_for_function("() => probe.painted > probe.up", timeout=15_000, polling=10)
        way = page.evaluate("() => probe.painted - probe.up")
        if index >= warm_up:
            ways.append(way)
        page.wait_for_timeout(100)
    decodes = [reply["ms"] for reply in replies]
    if len(decodes) != clicks:
        raise RuntimeError(f"{clicks} clicks gave {len(decodes)} replies.")
    overheads = [way - decode for way, decode in zip(ways, decodes, strict=True)]
    return {
        "photo": photo.name,
        "clicks": clicks,
        "click_to_paint_ms": statistics.median(ways),
        "decode_ms": statistics.median(decodes),
        "interface_ms": statistics.median(overheads),
        "sent_bytes_per_click": wire.sent / clicks,
        "received_bytes_per_click": wire.received / clicks,
        "requests_per_click": wire.requests / clicks,
    }


def click_to_paint(
    photo: Path,
    clicks: int,
    chromium: str = "/usr/bin/chromium",
    environment: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Serves the demo, opens its page in Chromium, and measures."""
    with served_app(environment=environment) as app, sync_playwright() as playwright:
        app.seconds_to_page()
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(PROBE)
        page.goto(app.address)
        page.wait_for_selector(".sam[data-loaded=yes]", timeout=30_000)
        figures = measure(page, photo, clicks)
        browser.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=ROOT / "examples" / "street.jpg")
    parser.add_argument("--clicks", type=int, default=25)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    figures = click_to_paint(arguments.photo, arguments.clicks, arguments.chromium)
    for name, value in figures.items():
        print(f"{name:26} {value:.1f}" if isinstance(value, float) else f"{name:26} {value}")
    if arguments.json:
        report = {"machine": machine(), **figures}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
