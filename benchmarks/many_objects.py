"""A photo with 1,000 objects on the page: `python -m benchmarks.many_objects`.

Milliseconds until they are listed, per frame while the photo is panned in a zoomed view, and until
an export has arrived; each also with 10 objects, in the same run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.machine import machine
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.objects import PhotoObject
from tests.serving import App, Disc, draw

SIZE_WH = (1600, 1200)
CLASSES = ("cat", "dog", "bird")
_FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const next = () => {
    const now = performance.now();
    window.frames_ms.push(now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}"""
_LISTED = "(n) => Number(document.querySelector('.sam').dataset.objects ?? 0) >= n"


def annotations(count: int) -> bytes:
    """A COCO file with so many wavy blobs in a grid."""
    width, height = SIZE_WH
    columns = int(np.ceil(np.sqrt(count * width / height)))
    step = width / columns
    y, x = np.mgrid[:height, :width]
    objects = []
    for index in range(count):
        cx, cy = step * (index % columns + 0.5), step * (index // columns + 0.5)
        top, left = max(0, int(cy - step)), max(0, int(cx - step))
        part = np.s_[top : int(cy + step), left : int(cx + step)]
        angle = np.arctan2(y[part] - cy, x[part] - cx)
        radius = 0.38 * step * (1 + 0.15 * np.sin(9 * angle + index))
        mask = np.zeros((height, width), bool)
        mask[part] = (x[part] - cx) ** 2 + (y[part] - cy) ** 2 < radius**2
        objects.append(PhotoObject(CLASSES[index % len(CLASSES)], mask))
    photo = CocoPhoto("photo.png", (height, width), tuple(map(coco_annotation, objects)))
    return json.dumps(coco_document([photo])).encode()


def measure(browser: Browser, app: App, folder: Path, count: int) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(app.url)
    page.wait_for_selector(".sam[data-model=loaded]", timeout=120_000)
    page.locator("input[data-part=file]").set_input_files(folder / "photo.png")
    page.wait_for_selector(".sam[data-ready='1']", timeout=60_000)
    file = folder / f"{count}.json"
    file.write_bytes(annotations(count))
    figures = {}
    began = time.perf_counter()
    page.locator("input[data-part=mask-file]").set_input_files(file)
    page.wait_for_function(_LISTED, arg=count, timeout=120_000)
    figures["listed"] = time.perf_counter() - began

    box = page.locator("[data-part=marks]").bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.mouse.move(*middle)
    page.evaluate(_FRAMES)
    page.keyboard.down("Space")
    page.mouse.down()
    for k in range(60):
        page.mouse.move(middle[0] + 3 * (k % 30), middle[1] + 2 * (k % 30))
    page.mouse.up()
    page.keyboard.up("Space")
    frames = page.evaluate("() => window.frames_ms")
    figures["frame"] = statistics.median(frames) / 1000
    figures["frame p95"] = sorted(frames)[round(0.95 * (len(frames) - 1))] / 1000

    for kind in ("coco_rle", "yolo"):
        page.locator("[data-part=format]").select_option(kind)
        began = time.perf_counter()
        with page.expect_download(timeout=120_000) as download:
            page.locator(".sam-panel [data-do=save-all]").click()
        download.value.path()
        figures[kind] = time.perf_counter() - began
    page.close()
    return {name: round(1000 * seconds, 1) for name, seconds in figures.items()}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        draw(*SIZE_WH, [Disc(800, 600, 400)]).save(folder / "photo.png")
        app = App(folder)
        app.start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS
        )
        rows: dict[int, list[dict[str, float]]] = {10: [], 1000: []}
        for _ in range(3):
            for count, found in rows.items():
                found.append(measure(browser, app, folder, count))
        app.stop()
    medians = {
        count: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for count, found in rows.items()
    }
    print(json.dumps({"machine": machine(), "milliseconds": medians}, indent=1))


if __name__ == "__main__":
    main()
