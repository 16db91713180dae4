"""Pictures of the page: `python -m benchmarks.screenshots`.

They are in docs/, and one is in the page itself: an example with its mask, for the first visit.
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.serving import ROOT, served_app

VIEWS = (("wide", 1440, "light"), ("medium", 1024, "dark"), ("narrow", 390, "light"))
FIRST = ROOT / "mobilesam" / "web" / "static" / "first.webp"
_PHOTO_WITH_MASK = """() => {
  const canvas = document.createElement('canvas');
  for (const part of ['photo', 'mask']) {
    const layer = document.querySelector(`[data-part=${part}]`);
    if (part === 'photo') Object.assign(canvas, {width: layer.width, height: layer.height});
    canvas.getContext('2d').drawImage(layer, 0, 0, canvas.width, canvas.height);
  }
  return canvas.toDataURL('image/webp', 0.8).split(',')[1];
}"""
PHOTO, POINT_SHARE = "flower.jpg", (306 / 640, 222 / 427)


def shoot(browser: Browser, address: str, name: str, width: int, scheme: str) -> Path:
    """Opens the example photo, clicks on its thing and takes the whole page."""
    narrow = width < 500
    context = browser.new_context(
        viewport={"width": width, "height": 844 if narrow else 900},
        has_touch=narrow,
        is_mobile=narrow,
        color_scheme=scheme,
    )
    page = context.new_page()
    page.goto(f"{address}?__theme={scheme}")
    page.wait_for_selector(".sam[data-loaded=yes]", timeout=30_000)
    page.locator("input[data-part=file]").set_input_files(ROOT / "examples" / PHOTO)
    page.wait_for_selector(".sam[data-ready='1']", timeout=60_000)
    box = page.locator("canvas[data-part=photo]").bounding_box()
    at = [
        box[s] + box[d] * share
        for s, d, share in zip("xy", ("width", "height"), POINT_SHARE, strict=True)
    ]
    if narrow:
        page.touchscreen.tap(*at)
    else:
        page.mouse.click(*at)
    page.wait_for_selector(".sam[data-shown='1']", timeout=30_000)
    page.wait_for_timeout(300)
    target = ROOT / "docs" / f"screenshot-{name}.jpg"
    page.screenshot(path=target, full_page=True, type="jpeg", quality=90)
    context.close()
    return target


def draw_first(browser: Browser, address: str) -> Path:
    """Opens what the empty page shows, and takes the photo with the mask."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.wait_for_selector(".sam[data-model=loaded]", timeout=30_000)
    page.locator(".sam-first").click()
    page.wait_for_selector(".sam[data-shown='1']", timeout=60_000)
    FIRST.write_bytes(base64.b64decode(page.evaluate(_PHOTO_WITH_MASK)))
    page.close()
    return FIRST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with served_app() as app, sync_playwright() as playwright:
        app.seconds_to_page()
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=CHROMIUM_FLAGS
        )
        print(draw_first(browser, app.address))
        for name, width, scheme in VIEWS:
            print(shoot(browser, app.address, name, width, scheme))
        browser.close()


if __name__ == "__main__":
    main()
