"""What requests cost the real app: the processor time of both processes, with one visitor."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.load_client import Tab, canvas_id
from benchmarks.load_photos import interaction_logs, photo_of
from benchmarks.machine import machine
from benchmarks.serving import MODEL_IS_LOADED, ServedApp, own_folder, served_app


@dataclass(frozen=True)
class Service:
    """What requests cost, in seconds of one core.

    Attributes:
        page_s: the event loop's work for a page.
        request_s: for every other request.
        client_s: the load driver's work for a request, on the same machine.
        click_s: a click, in one of several threads.
        click_spread: standard deviation of the logarithm of a click's work.
        beside_encode: how many times longer a click takes beside an encode, for reasons other than
            its share of the cores, such as memory bandwidth.
        encode_s: an encode alone on the machine, from the start to the end.
        first_encode_s: the first one of a process, which has no memory yet that it can use again.
        encode_cores: how many cores it keeps busy.
        cores: of a machine.
    """

    page_s: float = 0.02
    request_s: float = 0.0025
    client_s: float = 0.0025
    click_s: float = 0.06
    click_spread: float = 0.25
    beside_encode: float = 1.4
    encode_s: float = 1.2
    first_encode_s: float = 1.5
    encode_cores: float = 2.0
    cores: int = 2


def read_service(path: Path) -> Service:
    """The service times of `--measure`; the defaults if there are none."""
    if not path.exists():
        return Service()
    found = json.loads(path.read_text(encoding="utf-8"))["service"]
    return Service(**{one.name: found[one.name] for one in fields(Service)})


def save_service(path: Path) -> None:
    """Measures the service times on this machine and writes them."""
    report = {"machine": machine(), "service": asdict(_measured())}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _measured(photos: int = 6, clicks: int = 60) -> Service:
    """Service times of the real app with one visitor, by the processor time of both processes."""

    def server_s(app: ServedApp) -> float:
        status = Path(f"/proc/{app.process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(status[11]) + int(status[12])) / os.sysconf("SC_CLK_TCK")  # user and system

    async def visit(app: ServedApp) -> dict[str, float]:
        tab = Tab(app.address, await canvas_id(app.address))
        await tab.ready()
        costs: dict[str, float] = {}

        async def cost(name: str, times: int, call: Callable[[int], Any]) -> list[Any]:
            before, own = server_s(app), time.process_time()
            replies = [await call(number) for number in range(times)]
            costs[name] = (server_s(app) - before) / times
            costs[f"{name}_client"] = (time.process_time() - own) / times
            return replies

        async def opened(number: int) -> str:
            return (await tab.open("photo.jpg", photo_of(number)))["token"]

        token = await opened(photos)
        await cost("page", clicks, lambda _: tab.load())
        await cost("request", clicks, lambda _: tab.call("model_info", {}))
        tokens = await cost("open", photos, opened)
        logs = interaction_logs(0)

        async def click(number: int) -> None:
            query = {"token": tokens[number % photos], "side": 1024}
            log = logs[number // photos % len(logs)]
            await tab.call("segment", {**query, "interactions": log})

        await tab.call("segment", {"token": token, "interactions": logs[0]})
        await cost("click", clicks, click)
        await tab.close()
        return costs

    with own_folder() as environment, served_app(environment=environment) as app:
        app.seconds_to_page()
        app.seconds_to_line(MODEL_IS_LOADED)
        costs = asyncio.run(visit(app))
        work = r"what=open outcome=ok wait_ms=\d+ work_ms=(\d+)"
        encodes = [int(found[1]) / 1000 for line in app.lines if (found := re.search(work, line))]
    return Service(
        page_s=costs["page"],
        request_s=costs["request"],
        client_s=costs["click_client"],
        click_s=costs["click"] - costs["request"],
        encode_s=min(encodes),
        first_encode_s=encodes[0],
    )
