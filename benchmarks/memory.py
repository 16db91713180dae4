"""Memory over a thousand photos and ten thousand clicks: `python -m benchmarks.memory`.

A few visitors at a time come to the real app, each with a photo like nobody else's, ask for ten
masks, save every tenth, and close the tab. What the process holds is noted all along, and at rest,
when all have left: after the first hundred photos, and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
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
_RESTING_S = 3.0
_WINDOW = 50

Held = dict[str, float]


async def visit(app: ServedApp, photos: int) -> list[Held]:
    """Lets all visitors come and go; what the process held after each, and at rest."""
    course: list[Held] = []
    gone = itertools.count(1)
    async with browser(app.address) as client:
        facts = PageFacts.of((await client.get("config")).json())

        async def come_and_go(numbers: Iterator[int]) -> None:
            for number in numbers:
                tab = Tab(client, facts)
                try:
                    await tab.ready()
                    await _work(tab, number)
                finally:
                    await tab.close()
                course.append({"photos": next(gone), **now_held(app)})

        for begin, end in ((0, min(SETTLED_AT, photos)), (SETTLED_AT, photos)):
            numbers = iter(range(begin, end))
            await asyncio.gather(*(come_and_go(numbers) for _ in range(AT_ONCE)))
            course.append({"photos": end, "at_rest": True, **held_at_rest(app)})
            print(course[-1], flush=True)
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
    """What it holds a while after the last photo was closed."""
    deadline = time.monotonic() + _LEAVING_S
    while now_held(app)["open_photos"] and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(_RESTING_S)
    return now_held(app)


def _said(app: ServedApp) -> Iterator[Held]:
    """What the app said of itself, the last first."""
    for line in reversed(app.lines):
        if line.startswith(MARK):
            yield json.loads(line.removeprefix(MARK))


def memory_figures(course: Sequence[Held]) -> dict[str, float]:
    """The figures of a course: at rest, and at work over the last photos before each rest."""
    rests = [at for at, held in enumerate(course) if held.get("at_rest")]
    settled, end = (course[at]["rss_mb"] for at in (rests[0], rests[-1]))
    settled_at_work, end_at_work = (
        statistics.median(held["rss_mb"] for held in course[max(0, at - _WINDOW) : at])
        for at in (rests[0], rests[-1])
    )
    last = course[-1]
    return {
        "photos": last["photos"],
        "settled_mb": settled,
        "end_mb": end,
        "growth_percent": 100 * (end / settled - 1),
        "settled_at_work_mb": settled_at_work,
        "end_at_work_mb": end_at_work,
        "growth_at_work_percent": 100 * (end_at_work / settled_at_work - 1),
        "peak_mb": max(held["rss_mb"] for held in course),
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
        print(f"{name:24} {value:8.1f}")
    if arguments.json:
        report = {"machine": machine(), "figures": figures, "course": course}
        arguments.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    if arguments.picture:
        caption = f"{processor_and_cores()}; ten clicks on each photo, three visitors at a time"
        draw_memory(course, caption, arguments.picture)


if __name__ == "__main__":
    main()
