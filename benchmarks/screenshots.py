"""The pictures of the page in docs/: `python -m benchmarks.screenshots`."""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.serving import ROOT, served_app

VIEWS = (("wide", 1440, "light"), ("medium", 1024, "dark"), ("narrow", 390, "light"))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with served_app() as app, sync_playwright() as playwright:
        app.seconds_to_page()
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=CHROMIUM_FLAGS
        )
        for name, width, scheme in VIEWS:
            print(shoot(browser, app.address, name, width, scheme))
        browser.close()


if __name__ == "__main__":
    main()
