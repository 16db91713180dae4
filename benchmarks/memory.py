"""Memory over a thousand photos and ten thousand clicks: `python -m benchmarks.memory`.

A few users at a time open a unique photo each on the real app, request ten masks, export every
tenth, and close the tab. The memory of the process is recorded throughout, and at rest, when all
tabs are closed: after the first hundred photos and at the end.
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

import httpx

from benchmarks.load_chart import draw_memory
from benchmarks.load_client import NoAnswerError, Tab, canvas_id
from benchmarks.load_photos import interaction_logs, photo_of
from benchmarks.machine import machine, processor_and_cores, resident_mb
from benchmarks.serving import MODEL_IS_LOADED, ServedApp, own_folder, served_app

AT_ONCE = 3
SETTLED_AT = 100
"""Photos after which memory should no longer grow."""
_SIDE = 640
_CLOSING_S = 30.0
_HEALTH_TIMEOUT_S = 30.0
_RESTING_S = 3.0
_WINDOW = 50

Held = dict[str, float]


async def visit(app: ServedApp, photos: int) -> list[Held]:
    """Runs all users; the memory of the process after each one, and at rest."""
    course: list[Held] = []
    finished = itertools.count(1)
    canvas = await canvas_id(app.address)

    async def run_users(numbers: Iterator[int]) -> None:
        for number in numbers:
            tab = Tab(app.address, canvas)
            try:
                await tab.ready()
                await _work(tab, number)
            finally:
                await tab.close()
            course.append({"photos": next(finished), **now_held(app)})

    for begin, end in ((0, min(SETTLED_AT, photos)), (SETTLED_AT, photos)):
        numbers = iter(range(begin, end))
        await asyncio.gather(*(run_users(numbers) for _ in range(AT_ONCE)))
        course.append({"photos": end, "at_rest": True, **held_at_rest(app)})
        print(course[-1], flush=True)
    return course


async def _work(tab: Tab, number: int) -> None:
    opened = _ok(await tab.open(f"{number}.jpg", photo_of(number)))
    for interactions in interaction_logs(number):
        query = {"token": opened["token"], "interactions": interactions, "side": _SIDE}
        _ok(await tab.call("segment", query))
    if number % 10 == 0:
        query = {"token": opened["token"], "interactions": interactions, "kind": "cutout"}
        _ok(await tab.call("export", query))


def _ok(reply: dict[str, Any]) -> dict[str, Any]:
    if not reply["ok"]:
        raise NoAnswerError(reply["error"])
    return reply


def now_held(app: ServedApp) -> Held:
    """Resident memory of the app's process, its cache and its open photos, as /healthz reports."""
    health = httpx.get(app.address + "healthz", timeout=_HEALTH_TIMEOUT_S).json()
    status = Path(f"/proc/{app.process_id}/status").read_text(encoding="ascii")
    return {
        "rss_mb": resident_mb(status),
        "cache_mb": health["cache"]["bytes"] / 1e6,
        "cache_bound_mb": health["cache"]["max_bytes"] / 1e6,
        "open_photos": health["open_photos"],
    }


def held_at_rest(app: ServedApp) -> Held:
    """The same some seconds after the last photo was closed."""
    deadline = time.monotonic() + _CLOSING_S
    while now_held(app)["open_photos"] and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(_RESTING_S)
    return now_held(app)


def memory_figures(course: Sequence[Held]) -> dict[str, float]:
    """The figures of a run: at rest, and at work over the last photos before each rest."""
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
        **{name: last[name] for name in ("cache_mb", "cache_bound_mb", "open_photos")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=int, default=1000, help="ten clicks on each")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the course of memory here")
    arguments = parser.parse_args()
    with own_folder() as environment, served_app(environment=environment) as app:
        app.seconds_to_page()
        app.seconds_to_line(MODEL_IS_LOADED)
        course = asyncio.run(visit(app, arguments.photos))
    figures = memory_figures(course)
    for name, value in figures.items():
        print(f"{name:24} {value:8.1f}")
    if arguments.json:
        report = {"machine": machine(), "figures": figures, "course": course}
        arguments.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    if arguments.picture:
        caption = f"{processor_and_cores()}; ten clicks on each photo, three users at a time"
        draw_memory(course, caption, arguments.picture)


if __name__ == "__main__":
    main()
