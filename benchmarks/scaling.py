"""A simulation of visitors and servers: `python -m benchmarks.scaling --check LOAD_JSON`.

Visitors open a photo, think and click. Page processes answer them with the queues and threads of
`mobilesam.web`; the cores of a machine are shared in proportion to the priorities of the threads.
`--check` replays the visitors of `benchmarks.load` and prints the errors against its figures.
`--grow` adds visitors and machines and names what is used most at each step. `--measure` measures
the service times with one visitor; `--check` and `--grow` scale them to the machine of load.json.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load_report import percentile
from benchmarks.service_times import Service, read_service, save_service
from benchmarks.simulation import Cores, Process, Queue, Resume, Simulation, Wait

HERE = Path(__file__).parent
SERVICE = HERE / "scaling.json"
CLOSE_EARLY, PATIENCE_S, PAUSE_S, CLICKS = 10, 0.5, (0.1, 0.5), 10  # of benchmarks.load
POLL_S, PHOTOS_WAITING, CLICK_THREADS, CLICKS_WAITING = 1.0, 80, 4, 400  # of mobilesam.web
ENCODE_WEIGHT = 0.33  # of a thread with niceness 5 beside one with 0
EMBEDDING_BYTES, CACHE_BYTES = 2_100_000, 512_000_000
REDIS_SET_S, REDIS_GET_S, REDIS_BYTES_PER_S = 0.0104, 0.001, 125_000_000
"""Of an embedding, measured with Redis 7; a network of 1 Gbit/s."""
THINK_S, CLICKS_PER_PHOTO = 5.0, 10
STEPS = (
    *((1, 1), (10, 1), (20, 1), (40, 1), (50, 1), (60, 1), (70, 1), (100, 1)),
    *((500, 10), (1000, 20), (5000, 100), (10_000, 100), (10_000, 200)),
)
"""Visitors and machines of `--grow`."""
SIMULATED = 10  # of many machines that have nothing to do with each other


class Redis:
    """A cache of embeddings that all page processes share, one transfer at a time."""

    def __init__(self, simulation: Simulation) -> None:
        self.thread = Queue(simulation)
        self.photos: set[int] = set()
        self._simulation = simulation

    def call(self, seconds: float) -> Process:
        yield self.thread.enter()
        yield self._simulation.sleep(max(seconds, EMBEDDING_BYTES / REDIS_BYTES_PER_S))
        self.thread.leave()


class Opening:
    """A photo that is being opened."""

    def __init__(self, simulation: Simulation) -> None:
        self.is_started = self.is_done = self.is_closed = False
        self._simulation = simulation
        self._resume: Resume | None = None

    def poll(self) -> Wait:
        """Waits until it is done, for a second at most."""

        def wait(resume: Resume) -> None:
            def once() -> None:
                if self._resume is once:
                    self._resume = None
                    resume()

            self._resume = once
            self._simulation.after(0 if self.is_done else POLL_S, once)

        return wait

    def finish(self) -> None:
        self.is_done = True
        if self._resume:
            self._simulation.after(0, self._resume)


class PageProcess:
    """A page process, alone on its machine but for the load driver's client, if any."""

    def __init__(
        self,
        simulation: Simulation,
        service: Service,
        chance: np.random.Generator,
        redis: Redis | None = None,
    ) -> None:
        self.cores = Cores(simulation, service.cores)
        self.loop, self.client = Queue(simulation), Queue(simulation)
        self.clicks = Queue(simulation, CLICK_THREADS, CLICKS_WAITING)
        self.photos = Queue(simulation)
        self.embeddings: OrderedDict[int, None] = OrderedDict()
        self._simulation, self._service, self._chance = simulation, service, chance
        self._redis = redis
        self._opening = self._encoding = 0
        self._is_warm = False

    def request(self, seconds: float | None = None) -> Process:
        """The work of the event loop, and of the client."""
        work = self._service.request_s if seconds is None else seconds
        for queue, amount in ((self.client, self._service.client_s), (self.loop, work)):
            if amount:
                yield queue.enter()
                yield self.cores.work(amount)
                queue.leave()

    def page(self) -> Process:
        yield from self.request(self._service.page_s)

    def open(self, photo: int, patience_s: float = math.inf) -> Process:
        """Uploads and opens a photo; whether it was accepted."""
        yield from self.request()
        if self._opening > PHOTOS_WAITING:
            return False
        self._opening += 1
        opening = Opening(self._simulation)
        closes_at = self._simulation.now + patience_s
        self._simulation.start(self._encode(photo, opening))
        while not opening.is_done:
            yield from self.request()
            yield opening.poll()
            if self._simulation.now >= closes_at:
                if not opening.is_started:
                    opening.is_closed = True
                    self._opening -= 1
                return True
        return True

    def click(self, photo: int) -> Process:
        """A mask; whether it was accepted. The photo is opened again if it was forgotten."""
        if photo not in self.embeddings and not (yield from self.open(photo)):
            return False
        if photo in self.embeddings:
            self.embeddings.move_to_end(photo)
        yield from self.request()
        if self.clicks.is_full:
            return False
        service = self._service
        spread = math.exp(service.click_spread * self._chance.standard_normal())
        slower = spread * (service.beside_encode if self._encoding else 1)
        yield self.clicks.enter()
        yield self.cores.work(slower * service.click_s)
        self.clicks.leave()
        return True

    def _encode(self, photo: int, opening: Opening) -> Process:
        yield self.photos.enter()
        if not opening.is_closed:
            opening.is_started = True
            yield from self._embedding(photo)
            self._opening -= 1
        self.photos.leave()
        opening.finish()

    def _embedding(self, photo: int) -> Process:
        """From the shared cache if it is there, else by the encoder."""
        service = self._service
        if self._redis and photo in self._redis.photos:
            yield from self._redis.call(REDIS_GET_S)
        elif photo not in self.embeddings:
            self._encoding += 1
            seconds = service.encode_s if self._is_warm else service.first_encode_s
            self._is_warm = True
            amount = seconds * service.encode_cores
            weight = ENCODE_WEIGHT * service.encode_cores
            yield self.cores.work(amount, service.encode_cores, weight)
            self._encoding -= 1
            if self._redis:
                self._redis.photos.add(photo)
                self._simulation.start(self._redis.call(REDIS_SET_S))
        self.embeddings[photo] = None
        while len(self.embeddings) > CACHE_BYTES / EMBEDDING_BYTES:
            self.embeddings.popitem(last=False)


@dataclass(frozen=True)
class Course:
    """What visitors met: seconds of clicks and photo openings, and how many were refused."""

    clicks: list[float]
    openings: list[float]
    refused: list[str]

    def timed(self, simulation: Simulation, what: str, request: Process) -> Process:
        """Makes a request and records it; whether it was accepted."""
        started = simulation.now
        accepted = yield from request
        seconds = simulation.now - started
        if accepted:
            (self.clicks if what == "click" else self.openings).append(seconds)
        else:
            self.refused.append(what)
        return accepted

    def row(self) -> dict[str, float]:
        """The figures under their names in load.json."""
        return {
            "click_p50_ms": 1000 * percentile(self.clicks, 0.5),
            "click_p95_ms": 1000 * percentile(self.clicks, 0.95),
            "open_p50_s": percentile(self.openings, 0.5),
            "open_p95_s": percentile(self.openings, 0.95),
            "refused": len(self.refused),
        }


def load_course(service: Service, users: int, seed: int = 0) -> Course:
    """The visitors of `benchmarks.load`: all start at once and close the tab after ten clicks."""
    simulation, chance, course = Simulation(), np.random.default_rng(seed), Course([], [], [])
    place = PageProcess(simulation, service, chance)

    def visitor(user: int) -> Process:
        yield from place.page()
        if user % CLOSE_EARLY == CLOSE_EARLY - 1:
            yield from place.open(user, PATIENCE_S)
        elif (yield from course.timed(simulation, "open", place.open(user))):
            for _ in range(CLICKS):
                yield simulation.sleep(chance.uniform(*PAUSE_S))
                yield from course.timed(simulation, "click", place.click(user))

    for user in range(users):
        simulation.start(visitor(user))
    simulation.run()
    return course


def check(service: Service, rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The simulated figures of every row of a load.json."""
    return [{"users": row["users"], **load_course(service, row["users"]).row()} for row in rows]


def errors_table(rows: Sequence[dict[str, Any]], simulated: Sequence[dict[str, float]]) -> str:
    names = ("click_p50_ms", "click_p95_ms", "open_p50_s", "open_p95_s")
    lines = [f"{'users':>5}" + "".join(f"{name + ': measured, simulated':>36}" for name in names)]
    for row, guess in zip(rows, simulated, strict=True):
        cells = (
            f"{row[name]:.4g}, {guess[name]:.4g} ({guess[name] / row[name] - 1:+.0%})".rjust(36)
            for name in names
        )
        refused = f"  refused: {row['refused']}, {guess['refused']}"
        lines.append(f"{row['users']:>5}" + "".join(cells) + refused)
    return "\n".join(lines)


class Growth:
    """Visitors who stay: each opens a photo, clicks, and opens the next one."""

    def __init__(
        self, service: Service, visitors: int, machines: int, seen: float | None, seed: int
    ) -> None:
        """See `grown`."""
        self.simulation, self.course = Simulation(), Course([], [], [])
        self._chance = np.random.default_rng(seed)
        self._cores, self._seen = service.cores, seen
        self._redis = None if seen is None else Redis(self.simulation)
        made = (self.simulation, service, self._chance, self._redis)
        self._places = [PageProcess(*made) for _ in range(machines)]
        self._visitors = visitors
        self._photos = count()

    def run(self, seconds: float) -> dict[str, float]:
        """The shares of the time that everything was busy, after the first quarter."""
        for number in range(self._visitors):
            self.simulation.start(self._visitor(self._places[number % len(self._places)]))
            self.simulation.run(seconds / 4 * number / self._visitors)
        self.simulation.run(seconds / 4)
        for found in (self.course.clicks, self.course.openings, self.course.refused):
            found.clear()
        before = self._used_s()
        self.simulation.run(seconds)
        return {
            name: (used - before[name]) / (seconds * 3 / 4) for name, used in self._used_s().items()
        }

    def _visitor(self, place: PageProcess) -> Process:
        while True:
            photo = next(self._photos)
            if self._redis and self._chance.random() < self._seen:
                self._redis.photos.add(photo)
            if not (yield from self.course.timed(self.simulation, "open", place.open(photo))):
                yield self.simulation.sleep(60)  # "Try again in a minute."
                continue
            for _ in range(CLICKS_PER_PHOTO):
                yield self.simulation.sleep(self._chance.exponential(THINK_S))
                yield from self.course.timed(self.simulation, "click", place.click(photo))

    def _used_s(self) -> dict[str, float]:
        def mean(used: Callable[[PageProcess], float]) -> float:
            return sum(map(used, self._places)) / len(self._places)

        seconds = {
            "encodes": mean(lambda place: place.photos.busy_s),
            "threads for clicks": mean(lambda place: place.clicks.busy_s) / CLICK_THREADS,
            "event loop": mean(lambda place: place.loop.busy_s),
            "cores": mean(lambda place: place.cores.busy_s) / self._cores,
        }
        if self._redis:
            seconds["Redis"] = self._redis.thread.busy_s
        return seconds


def grown(
    service: Service,
    visitors: int,
    machines: int,
    seen: float | None = None,
    seconds: float = 240,
    seed: int = 0,
) -> dict[str, Any]:
    """What visitors meet, and what limits them.

    Args:
        service: with `client_s` 0, as visitors have their own machines.
        visitors: how many; each is always served by the same machine.
        machines: how many, with one page process each.
        seen: the share of photos that some process has encoded before; None without Redis.
        seconds: simulated; the first quarter, in which the visitors arrive, is not counted.
        seed: of everything that is random.
    """
    simulated = machines if seen is not None else min(machines, SIMULATED)
    factor = machines / simulated
    growth = Growth(service, round(visitors / factor), simulated, seen, seed)
    used = growth.run(seconds)
    used["memory for embeddings"] = visitors / machines * EMBEDDING_BYTES / CACHE_BYTES
    cores = used.pop("cores")  # which the others use
    return {
        "visitors": visitors,
        "machines": machines,
        "photos_per_h": factor * len(growth.course.openings) * 3600 / (seconds * 3 / 4),
        **growth.course.row(),
        "refused": round(factor * len(growth.course.refused)),
        "cores": cores,
        "used": used,
        "bottleneck": max(used, key=used.__getitem__),
    }


def growth_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| visitors | machines | photos/h | click p50, p95 | photo p50, p95 | refused | cores busy "
        "| used most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        used = sorted(row["used"].items(), key=lambda item: -item[1])[:3]
        cells = (
            f"{row['visitors']:,}",
            f"{row['machines']}",
            f"{row['photos_per_h']:,.0f}",
            f"{row['click_p50_ms']:.0f}, {row['click_p95_ms']:.0f} ms",
            f"{row['open_p50_s']:.1f}, {row['open_p95_s']:.1f} s",
            f"{row['refused']:,}",
            f"{row['cores']:.0%}",
            ", ".join(f"{name} {share:.0%}" for name, share in used),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def fitted_to_load(measured: Service, rows: Sequence[dict[str, Any]]) -> Service:
    """`measured`, on the machine of a load.json, whose first rows are of 1 and of few visitors.

    What depends on others at work is fitted to the second row: the encode, and the median and
    the spread of a click beside one. All further rows are predicted.
    """
    one, few = rows[0], rows[1]
    click = measured.click_s + measured.request_s + measured.client_s
    factor = one["click_p50_ms"] / 1000 / click
    names = ("request_s", "client_s", "click_s")
    scaled = {name: factor * getattr(measured, name) for name in names}
    page_s = max(one["page_p99_s"] - scaled["client_s"], 0)
    first_s = one["open_p50_s"] - 2 * (scaled["request_s"] + scaled["client_s"])
    service = replace(measured, **scaled, page_s=page_s, first_encode_s=first_s)
    for _ in range(6):
        for name, figure, bounds in (
            ("encode_s", "open_p95_s", (0.2 * first_s, 1.5 * first_s)),
            ("click_spread", "click_p95_ms", (0.0, 1.5)),
            ("beside_encode", "click_p50_ms", (1.0, 4.0)),
        ):
            service = _with_fitted(service, name, figure, bounds, few)
    return service


def _with_fitted(
    service: Service, name: str, figure: str, bounds: tuple[float, float], row: dict[str, Any]
) -> Service:
    """With the value within the bounds for which a figure is that of the row."""
    low, high = bounds
    for _ in range(10):
        middle = (low + high) / 2
        simulated = load_course(replace(service, **{name: middle}), row["users"]).row()
        low, high = (low, middle) if simulated[figure] > row[figure] else (middle, high)
    return replace(service, **{name: (low + high) / 2})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", action="store_true", help=f"write {SERVICE.name}")
    parser.add_argument("--check", type=Path, metavar="LOAD_JSON")
    parser.add_argument("--grow", action="store_true")
    parser.add_argument(
        "--seen", type=float, help="with a Redis too, which has this share of the photos"
    )
    parser.add_argument(
        "--encode",
        type=float,
        metavar="S",
        help="once more with this encode, such as that of a GPU",
    )
    arguments = parser.parse_args()
    if arguments.measure:
        save_service(SERVICE)
    service = read_service(SERVICE)
    if arguments.check:
        rows = json.loads(arguments.check.read_text(encoding="utf-8"))["rows"]
        service = fitted_to_load(service, rows)
        print(errors_table(rows, check(service, rows)))
    print(service)
    if arguments.grow:
        service = replace(service, client_s=0)
        services = [service]
        if arguments.encode:
            services += [replace(service, encode_s=arguments.encode, encode_cores=0.5)]
        for one in services:
            for seen in {None, arguments.seen}:
                print(growth_table([grown(one, *step, seen=seen) for step in STEPS]), flush=True)


if __name__ == "__main__":
    main()
