"""Many visitors at once on the real app: `python -m benchmarks.load`.

All come at the same moment. Each opens a photo like nobody else's, clicks, corrects, undoes, drags
a box, sometimes saves a mask, and closes the tab; every tenth loses patience and closes it while
the photo is on its way. They talk HTTP as the page does. A visitor's masks are held against those
computed alone: a mask with an IoU below 0.98 to its own right answer counts as wrong; rounding
moves a pixel at an edge, somebody else's answer is another mask altogether.

The visitors run on the same cores as the server and take some of its time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load_chart import draw_load
from benchmarks.load_photos import JsonHistory, answers_alone, histories_of, photo_of
from benchmarks.load_report import (
    ANSWERED,
    EXPIRED,
    FAILED,
    REFUSED,
    WRONG,
    Sample,
    load_row,
    load_table,
)
from benchmarks.load_visitor import NoAnswerError, PageFacts, Tab, browser
from benchmarks.machine import machine, processor_and_cores
from benchmarks.serving import MODEL_IS_LOADED, own_folder, served_app
from mobilesam.masks import mask_from_coco_rle

VISITORS = (1, 10, 50, 200)
SIDE = 1024
PAUSE_S = (0.1, 0.5)
"""Between an answer and the next click: a hasty visitor."""
PATIENCE_S = 0.5
SAME_IOU = 0.98
MAX_REOPENS = 5


class Load:
    """Visitors at once, and what became of what they asked."""

    def __init__(self, photos: Sequence[bytes], answers: Sequence[list[dict]]) -> None:
        """Takes a photo a visitor, and the right answers to the visitor's histories on it."""
        self.samples: list[Sample] = []
        self._photos = photos
        self._answers = answers
        self._opening = 0

    async def run(self, address: str, visitors: int) -> float:
        """Lets so many visitors come at once; seconds until the last has left."""
        async with browser(address) as client:
            facts = PageFacts.of((await client.get("config")).json())
            started = time.perf_counter()
            tabs = [Tab(client, facts) for _ in range(visitors)]
            await asyncio.gather(*(self._visit(tab, number) for number, tab in enumerate(tabs)))
            return time.perf_counter() - started

    async def _visit(self, tab: Tab, visitor: int) -> None:
        try:
            await self._timed("page", tab.ready())
            if visitor % 10 == 9:
                await self._leave_early(tab, visitor)
            else:
                await self._work(tab, visitor)
        except NoAnswerError:
            pass  # it is among the samples; the visitor gives up
        finally:
            await tab.close()

    async def _leave_early(self, tab: Tab, visitor: int) -> None:
        opening = asyncio.create_task(tab.open("photo.jpg", self._photos[visitor]))
        await asyncio.wait({opening}, timeout=PATIENCE_S)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)

    async def _work(self, tab: Tab, visitor: int) -> None:
        chance = random.Random(visitor)
        token = await self._open(tab, visitor)
        histories = histories_of(visitor)
        for history, right in zip(histories, self._answers[visitor], strict=True):
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            token = await self._click(tab, visitor, token, history, right)
        if visitor % 4 == 0:
            query = {"seq": 1, "token": token, "history": histories[-1], "kind": "mask"}
            await self._timed("export", tab.ask("export", query))

    async def _open(self, tab: Tab, visitor: int) -> str:
        self._opening += 1
        try:
            reply = await self._timed("open", tab.open("photo.jpg", self._photos[visitor]))
        finally:
            self._opening -= 1
        if not reply["ok"]:
            raise NoAnswerError(reply["error"])
        return reply["token"]

    async def _click(
        self, tab: Tab, visitor: int, token: str, history: JsonHistory, right: dict
    ) -> str:
        """Asks for a mask, on the photo opened afresh where it is forgotten; the photo's token."""
        for _ in range(MAX_REOPENS):
            query = {"seq": 1, "token": token, "history": history, "side": SIDE}
            reply = await self._timed("click", tab.ask("segment", query), right)
            if not reply.get("expired"):
                break
            token = await self._open(tab, visitor)
        return token

    async def _timed(self, what: str, asking: Awaitable[Any], right: dict | None = None) -> Any:
        """Waits for an answer and notes it."""
        beside_encode = self._opening > (what == "open")
        started = time.perf_counter()
        try:
            reply = await asking
        except NoAnswerError as error:
            seconds = time.perf_counter() - started
            self.samples.append(Sample(what, seconds, FAILED, str(error), beside_encode))
            raise
        seconds = time.perf_counter() - started
        outcome, sentence = _outcome(reply, right)
        self.samples.append(Sample(what, seconds, outcome, sentence, beside_encode))
        return reply


def _outcome(reply: dict | None, right: dict | None) -> tuple[str, str]:
    if reply is not None and not reply["ok"]:
        if reply.get("expired"):
            return EXPIRED, ""
        failed = reply["error"].startswith("Something went wrong")
        return FAILED if failed else REFUSED, reply["error"]
    if right is not None and not is_same(reply["rle"], right):
        return WRONG, ""
    return ANSWERED, ""


def is_same(one: dict, other: dict) -> bool:
    """Whether two masks are equal, or differ by rounding alone."""
    if one == other:
        return True
    if one["size"] != other["size"]:
        return False
    first, second = (mask_from_coco_rle(rle, tuple(rle["size"])) for rle in (one, other))
    union = int((first | second).sum())
    return int((first & second).sum()) >= SAME_IOU * union


def measured(visitors: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each number of visitors."""
    most = max(visitors)
    photos = [photo_of(visitor) for visitor in range(most)]
    answers = answers_alone(photos, [histories_of(visitor) for visitor in range(most)])
    rows = []
    for count in visitors:
        with own_folder() as environment, served_app(environment=environment) as app:
            app.seconds_to_page()
            app.seconds_to_line(MODEL_IS_LOADED)
            load = Load(photos, answers)
            seconds = asyncio.run(load.run(app.address, count))
        rows.append(load_row(count, load.samples, seconds))
        print(load_table(rows[-1:]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--visitors", type=int, nargs="+", default=VISITORS)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the bars here")
    arguments = parser.parse_args()
    rows = measured(arguments.visitors)
    print(load_table(rows))
    if arguments.json:
        report = {"machine": machine(), "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        caption = f"{processor_and_cores()}; all visitors come at once and click without much pause"
        draw_load(rows, caption, arguments.picture)


if __name__ == "__main__":
    main()
