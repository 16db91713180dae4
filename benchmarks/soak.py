"""Annotates many photos while things fail: `python -m benchmarks.soak --minutes 30`.

A script clicks, names and keeps objects in a set of photos in Chromium. At random moments it
reloads the page, ends the tab and its process, kills the server, and takes away the browser's
storage. In the end every photo must have all objects that the page has shown. The memory of page
and server is recorded once a minute.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from playwright.sync_api import BrowserContext, CDPSession, Page, TimeoutError, sync_playwright

from benchmarks.click_to_paint import CHROMIUM_FLAGS
from benchmarks.machine import machine
from mobilesam.settings import MEGA
from tests.serving import App, Disc, draw

SIZE_WH = (400, 300)
OBJECTS = 5  # in each photo
DISCS = [Disc(60 + 70 * k, 80 + 35 * k, 26) for k in range(OBJECTS)]
NAMES = ("cat", "dog", "bird")
WAIT_MS = 120_000
CLICK_AGAIN_MS = 30_000
FAULTS = ("reload", "tab", "server", "quota")
_NAMES = "() => [...document.querySelectorAll('.sam-object input')].map(({value}) => value)"
_DATA = "(name) => document.querySelector('.sam').dataset[name] ?? '0'"
_REACHED = "([name, n]) => Number(document.querySelector('.sam')?.dataset[name] ?? 0) >= n"


class Annotator:
    """One user, and what each photo must contain by now."""

    def __init__(self, context: BrowserContext, app: App, photos: list[Path]) -> None:
        self.context, self.app, self.photos = context, app, photos
        self.expected: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.current = 0
        self.page: Page
        self.new_tab()

    def new_tab(self) -> None:
        """Opens all photos in a new tab, and shows the current one."""
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.goto(self.app.url)
        self.page.wait_for_selector(".sam[data-model=loaded]")
        chooser = self.page.locator("input[data-part=file]")
        with self.opened():
            chooser.set_input_files([str(path) for path in self.photos])
        self.wait("photos", len(self.photos))
        if self.current:
            self.show(self.current, is_new=True)

    def data(self, name: str) -> int:
        return int(self.page.evaluate(_DATA, name))

    def wait(self, name: str, count: int) -> None:
        try:
            self.page.wait_for_function(_REACHED, arg=[name, count])
        except TimeoutError as error:
            state = self.page.evaluate("() => ({...document.querySelector('.sam').dataset})")
            photo = f"photo {self.current}, {self.expected[self.current]} objects expected"
            told = f"the page says {self.alert()!r}"
            raise AssertionError(f"{name} is not {count}: {photo}, {told}, {state}") from error

    def alert(self) -> str:
        return self.page.locator("[data-part=alert-text]").inner_text()

    def opened(self):
        page_wait, ready = self.wait, self.data("ready")

        class Opened:
            def __enter__(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                page_wait("ready", ready + 1)

        return Opened()

    def show(self, index: int, is_new: bool = False) -> None:
        if index == self.current and not is_new:
            return
        with self.opened():
            self.page.locator(".sam-photo").nth(index).click()
        self.current = index
        found = len(self.page.evaluate(_NAMES))
        assert found == self.expected[index], (index, found, self.expected[index])

    def annotate(self) -> None:
        """Clicks the next disc, keeps and names it; the object counts once the page lists it."""
        count = self.expected[self.current]
        if count == OBJECTS:
            return
        box = self.page.locator("[data-part=photo]").bounding_box()
        assert box
        if self.page.locator(".sam-object[aria-current]").count():
            # The tab ended within a moment after the last object was kept: it is still edited.
            self.page.keyboard.press("n")
            self.page.keyboard.press("Enter")
        scale, disc = box["width"] / SIZE_WH[0], DISCS[count]
        place = box["x"] + disc.x * scale, box["y"] + disc.y * scale
        self.page.mouse.click(*place)
        try:
            self.page.wait_for_function(
                _REACHED, arg=["objects", count + 1], timeout=CLICK_AGAIN_MS
            )
        except TimeoutError:  # a user reads the message, and clicks again
            self.errors[self.alert()] += 1
            self.page.mouse.click(*place)
            self.wait("objects", count + 1)
        self.expected[self.current] = count + 1
        self.page.keyboard.press("n")
        self.page.keyboard.type(NAMES[count % len(NAMES)])
        self.page.keyboard.press("Enter")

    # -- faults ------------------------------------------------------------------------------

    def reload(self) -> None:
        self.page.reload()
        self.wait("ready", 1)

    def tab(self) -> None:
        """Ends the tab without a warning; the next one opens the photos again."""
        self.page.close(run_before_unload=False)
        self.new_tab()

    def server(self) -> None:
        self.app.stop(signal.SIGKILL)
        self.app.start()

    def quota(self) -> None:
        """The browser's storage is full while an object is added, and has room again after it."""
        session: CDPSession = self.context.new_cdp_session(self.page)
        origin = self.app.url.rstrip("/")
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1000})
        self.annotate()
        self.page.wait_for_timeout(500)
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin})
        self.page.keyboard.press("f")  # a change, which writes what waits
        self.page.keyboard.press("f")
        self.page.wait_for_timeout(500)
        session.detach()

    def check_all(self) -> int:
        """Walks through all photos in a new tab, and returns how many objects there are."""
        self.page.close()
        self.current = 0
        self.new_tab()
        found = [len(self.page.evaluate(_NAMES))]
        for index in range(1, len(self.photos)):
            with self.opened():
                self.page.locator(".sam-photo").nth(index).click()
            found.append(len(self.page.evaluate(_NAMES)))
        lost = {k: (self.expected[k], n) for k, n in enumerate(found) if n != self.expected[k]}
        print(f"photos with another number of objects than expected: {lost}")
        return sum(found)

    def memory(self) -> dict[str, float]:
        """In MB: the page's JavaScript heap, and the resident memory of the server."""
        session = self.context.new_cdp_session(self.page)
        session.send("Performance.enable")
        session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        session.detach()
        server = psutil.Process(self.app.pid).memory_info().rss
        return {"heap": metrics["JSHeapUsedSize"] / MEGA, "server": server / MEGA}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        photos = [folder / f"photo {k:03}.png" for k in range(args.photos)]
        for k, path in enumerate(photos):
            draw(*SIZE_WH, DISCS, ground=(40 + k // 16, 90 + k % 16, 60)).save(path)
        app = App(folder)
        app.start()
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=shutil.which("chromium"),
            args=CHROMIUM_FLAGS,
            viewport={"width": 1280, "height": 900},
        )
        user, faults, rows = Annotator(context, app, photos), Counter(), []
        began = minute = time.monotonic()
        end = began + 60 * args.minutes
        total = OBJECTS * len(photos)
        while time.monotonic() < end:
            share_done = user.expected.total() / total
            share_time = (time.monotonic() - began) / (60 * args.minutes)
            if chance.random() < 0.02:
                fault = chance.choice(FAULTS)
                getattr(user, fault)()
                faults[fault] += 1
            elif share_done <= share_time and chance.random() < 0.8:
                user.annotate()
            elif share_done <= share_time:
                step = chance.choice([1, 1, 1, -1])
                user.show(max(0, min(user.current + step, len(photos) - 1)))
            else:
                user.show(chance.randrange(len(photos)))
            if user.expected[user.current] == OBJECTS:
                open_ones = [k for k in range(len(photos)) if user.expected[k] < OBJECTS]
                if open_ones:
                    user.show(open_ones[0])
            if time.monotonic() > minute:
                minute += 60
                rows.append({"objects": user.expected.total(), **user.memory()})
                print(rows[-1], dict(faults), flush=True)
        found = user.check_all()
        result = {
            "machine": machine(),
            "minutes": args.minutes,
            "photos": len(photos),
            "objects": user.expected.total(),
            "found": found,
            "faults": dict(faults),
            "errors": dict(user.errors),
            "memory": rows,
        }
        print(json.dumps(result, indent=1))
        if args.json:
            args.json.write_text(json.dumps(result, indent=1) + "\n")
        context.close()
        app.stop()


if __name__ == "__main__":
    main()
