"""Many users at once on the real app: `python -m benchmarks.load`.

All of them start at the same moment. Each opens a different photo, clicks, corrects, undoes, draws
a box, sometimes exports a mask, and closes the tab; every tenth closes it while the photo is being
encoded. They send the HTTP requests of the page. Every mask is compared with one computed without
load: an IoU below 0.98 counts as wrong (rounding moves single pixels, another user's mask differs
altogether).

The simulated users run on the same cores as the server and slow it down.
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
from benchmarks.load_client import NoAnswerError, Tab, canvas_id
from benchmarks.load_photos import JsonInteractions, correct_masks, interaction_logs, photo_of
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
from benchmarks.machine import machine, processor_and_cores
from benchmarks.serving import MODEL_IS_LOADED, own_folder, served_app
from mobilesam.masks import mask_from_coco_rle

USERS = (1, 10, 50, 200)
SIDE = 1024
PAUSE_S = (0.1, 0.5)
"""Between an answer and the next click."""
PATIENCE_S = 0.5
SAME_IOU = 0.98
MAX_REOPENS = 5


class Load:
    """Users at once, and the outcome of their requests."""

    def __init__(self, photos: Sequence[bytes], answers: Sequence[list[dict]]) -> None:
        """Takes one photo and the correct masks for each user."""
        self.samples: list[Sample] = []
        self._photos = photos
        self._answers = answers
        self._opening = 0

    async def run(self, address: str, users: int) -> float:
        """Runs so many users at once; seconds until the last one has finished."""
        canvas = await canvas_id(address)
        tabs = [Tab(address, canvas) for _ in range(users)]
        started = time.perf_counter()
        await asyncio.gather(*(self._run_tab(tab, number) for number, tab in enumerate(tabs)))
        return time.perf_counter() - started

    async def _run_tab(self, tab: Tab, user: int) -> None:
        try:
            await self._timed("page", tab.ready())
            if user % 10 == 9:
                await self._close_early(tab, user)
            else:
                await self._work(tab, user)
        except NoAnswerError:
            pass  # recorded as a sample
        finally:
            await tab.close()

    async def _close_early(self, tab: Tab, user: int) -> None:
        opening = asyncio.create_task(tab.open("photo.jpg", self._photos[user]))
        await asyncio.wait({opening}, timeout=PATIENCE_S)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)

    async def _work(self, tab: Tab, user: int) -> None:
        chance = random.Random(user)
        token = await self._open(tab, user)
        logs = interaction_logs(user)
        for interactions, right in zip(logs, self._answers[user], strict=True):
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            token = await self._click(tab, user, token, interactions, right)
        if user % 4 == 0:
            query = {"token": token, "interactions": logs[-1], "kind": "mask"}
            await self._timed("export", tab.call("export", query))

    async def _open(self, tab: Tab, user: int) -> str:
        self._opening += 1
        try:
            reply = await self._timed("open", tab.open("photo.jpg", self._photos[user]))
        finally:
            self._opening -= 1
        if not reply["ok"]:
            raise NoAnswerError(reply["error"])
        return reply["token"]

    async def _click(
        self, tab: Tab, user: int, token: str, interactions: JsonInteractions, right: dict
    ) -> str:
        """Requests a mask, reopening the photo if it has expired; the photo's token."""
        for _ in range(MAX_REOPENS):
            query = {"token": token, "interactions": interactions, "side": SIDE}
            reply = await self._timed("click", tab.call("segment", query), right)
            if not reply.get("expired"):
                break
            token = await self._open(tab, user)
        return token

    async def _timed(self, what: str, asking: Awaitable[Any], right: dict | None = None) -> Any:
        """Awaits an answer and records it."""
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


def measured(users: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each number of users."""
    most = max(users)
    photos = [photo_of(user) for user in range(most)]
    answers = correct_masks(photos, [interaction_logs(user) for user in range(most)])
    rows = []
    for count in users:
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
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--picture", type=Path, help="draw the bars here")
    arguments = parser.parse_args()
    rows = measured(arguments.users)
    print(load_table(rows))
    if arguments.json:
        report = {"machine": machine(), "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        caption = f"{processor_and_cores()}; all users start at once and click with short pauses"
        draw_load(rows, caption, arguments.picture)


if __name__ == "__main__":
    main()
