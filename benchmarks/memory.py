"""Memory over a thousand photos and ten thousand clicks: `python -m benchmarks.memory`.

A few visitors at a time come to the real app, each with a photo like nobody else's, ask for ten
masks, save every tenth, and close the tab. What the process holds is noted all along, and when all
have left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load_chart import draw_memory
from benchmarks.load_photos import histories_of, photo_of
from benchmarks.load_visitor import NoAnswerError, PageFacts, Tab, browser
from benchmarks.machine import machine, processor_and_cores
from benchmarks.memory_app import MARK
from benchmarks.serving import MODEL_IS_LOADED, ServedApp, own_folder, served_app

AT_ONCE = 3
SETTLED_AT = 100
"""Photos after which memory should not grow any more."""
WATCHED_APP = ("-m", "benchmarks.memory_app")
_SIDE = 640
_LEAVING_S = 30.0

Held = dict[str, float]


async def visit(app: ServedApp, photos: int) -> list[Held]:
    """Lets all visitors come and go; what the process held after each."""
    course: list[Held] = []
    numbers = iter(range(photos))
    async with browser(app.address) as client:
        facts = PageFacts.of((await client.get("config")).json())

        async def come_and_go() -> None:
            for number in numbers:
                tab = Tab(client, facts)
                try:
                    await tab.ready()
                    await _work(tab, number)
                finally:
                    await tab.close()
                course.append({"photos": len(course) + 1, **now_held(app)})
                if len(course) % SETTLED_AT == 0:
                    print(course[-1], flush=True)

        await asyncio.gather(*(come_and_go() for _ in range(AT_ONCE)))
    course.append({"photos": photos, **held_at_rest(app)})
    return course


async def _work(tab: Tab, number: int) -> None:
    opened = _ok(await tab.open(f"{number}.jpg", photo_of(number)))
    for history in histories_of(number):
        query = {"seq": 1, "token": opened["token"], "history": history, "side": _SIDE}
        _ok(await tab.ask("segment", query))
    if number % 10 == 0:
        query = {"seq": 1, "token": opened["token"], "history": history, "kind": "cutout"}
        _ok(await tab.ask("export", query))


def _ok(reply: dict[str, Any]) -> dict[str, Any]:
    if not reply["ok"]:
        raise NoAnswerError(reply["error"])
    return reply


def now_held(app: ServedApp) -> Held:
    """What the app said last."""
    return next(_said(app))


def held_at_rest(app: ServedApp) -> Held:
    """What it holds once nobody has a photo open, or after a while."""
    deadline = time.monotonic() + _LEAVING_S
    heard = app.lines[-1]
    while time.monotonic() < deadline:
        time.sleep(1)
        if app.lines[-1] != heard and not now_held(app)["open_photos"]:
            break
    return now_held(app)


def _said(app: ServedApp) -> Iterator[Held]:
    """What the app said of itself, the last first."""
    for line in reversed(app.lines):
        if line.startswith(MARK):
            yield json.loads(line.removeprefix(MARK))


def memory_figures(course: Sequence[Held]) -> dict[str, float]:
    """The figures of a course, whose last entry was taken when all had left."""
    settled = next(
        held for held in course if held["photos"] >= min(SETTLED_AT, course[-1]["photos"])
    )
    last = course[-1]
    return {
        "photos": last["photos"],
        "settled_mb": settled["rss_mb"],
        "peak_mb": max(held["rss_mb"] for held in course),
        "end_mb": last["rss_mb"],
        "growth_percent": 100 * (last["rss_mb"] / settled["rss_mb"] - 1),
        **{
            name: last[name]
            for name in ("cache_mb", "cache_bound_mb", "open_photos", "made_folders")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=1000, help="ten clicks on each")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the course of memory here")
    arguments = parser.parse_args()
    with own_folder() as environment, served_app(WATCHED_APP, environment) as app:
        app.seconds_to_page()
        app.seconds_to_line(MODEL_IS_LOADED)
        app.seconds_to_line(MARK)
        course = asyncio.run(visit(app, arguments.photos))
    figures = memory_figures(course)
    for name, value in figures.items():
        print(f"{name:16} {value:8.1f}")
    if arguments.json:
        report = {"machine": machine(), "figures": figures, "course": course}
        arguments.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    if arguments.picture:
        caption = f"{processor_and_cores()}; ten clicks on each photo, three visitors at a time"
        draw_memory(course, caption, arguments.picture)


if __name__ == "__main__":
    main()
