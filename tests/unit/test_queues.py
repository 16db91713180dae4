"""Work queues: order, bounds and positions."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from mobilesam.web.server import request_log
from mobilesam.web.server.queues import WorkQueue, WorkQueues, wait_until_done
from mobilesam.web.server.replies import BusyError, answering
from tests.event_loop import run_async

SENTENCE = "Try again in a moment."


class Slow:
    """Handles queries in the order in which they start, each once it may finish."""

    def __init__(self) -> None:
        self.may_finish = threading.Event()
        self.started: list[int] = []

    @answering
    def segment(self, query: dict) -> dict:
        self.started.append(query["number"])
        return {"number": query["number"], "in_time": self.may_finish.wait(30)}

    def work(self, number: int) -> Callable[[], int]:
        """Work that returns its number."""

        def work() -> int:
            self.started.append(number)
            self.may_finish.wait(30)
            return number

        return work


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.may_finish.set()


async def ask(call: Callable[[dict], Awaitable[dict]], numbers: range) -> list[asyncio.Task]:
    """Tasks for the queries, once all of them have been queued."""
    tasks = [asyncio.create_task(call({"number": number})) for number in numbers]
    await asyncio.sleep(0.05)
    return tasks


@pytest.mark.parametrize("threads", [1, 2])
def test_queries_are_handled_in_order_and_so_many_at_once(slow, threads):
    async def scene() -> tuple[list[int], list[dict]]:
        call = WorkQueue(threads, 10, SENTENCE).serving(slow.segment)
        tasks = await ask(call, range(8))
        started = list(slow.started)
        slow.may_finish.set()
        return started, await asyncio.gather(*tasks)

    started, replies = run_async(scene())
    assert sorted(started) == list(range(threads))  # two threads may start in either order
    assert [reply["number"] for reply in replies] == list(range(8))
    assert all(reply["in_time"] for reply in replies)
    if threads == 1:
        assert slow.started == list(range(8))


def test_a_full_queue_refuses_at_once_and_accepts_again_later(slow, caplog):
    caplog.set_level(logging.INFO, logger=request_log.__name__)

    async def scene() -> tuple[dict, dict]:
        call = WorkQueue(1, 2, SENTENCE).serving(slow.segment)
        tasks = await ask(call, range(3))
        refused = await call({"number": 72})
        slow.may_finish.set()
        await asyncio.gather(*tasks)
        return refused, await call({"number": 73})

    refused, late = run_async(scene())
    assert refused == {"ok": False, "error": SENTENCE}
    assert late["ok"]
    assert slow.started == [0, 1, 2, 73]
    assert "what=segment outcome=BusyError" in caplog.messages[0]


def test_the_bound_holds_for_requests_of_the_same_instant(slow):
    async def scene() -> list[str]:
        queue, outcomes = WorkQueue(2, 3, SENTENCE), []
        for number in range(8):
            try:
                queue.submit(slow.work(number))
                outcomes.append("queued")
            except BusyError as error:
                outcomes.append(str(error))
        slow.may_finish.set()
        return outcomes

    assert run_async(scene()) == 5 * ["queued"] + 3 * [SENTENCE]


def test_the_position_counts_the_work_ahead(slow):
    async def scene() -> list[list[int]]:
        queue = WorkQueue(1, 10, SENTENCE)
        queued = [queue.submit(slow.work(number)) for number in range(4)]
        positions = [list(map(queue.position, queued))]
        queued[1].cancel()
        positions.append(list(map(queue.position, queued)))
        slow.may_finish.set()
        assert await wait_until_done(queued[3], 10)
        positions.append(list(map(queue.position, queued)))
        return positions

    assert run_async(scene()) == [[0, 1, 2, 3], [0, 0, 1, 2], [0, 0, 0, 0]]


def test_a_wait_ends_with_the_work_or_with_its_time(slow):
    async def scene() -> None:
        queued = WorkQueue(1, 10, SENTENCE).submit(slow.work(7))
        assert not await wait_until_done(queued, 0.01)
        slow.may_finish.set()
        assert await wait_until_done(queued, 10)
        assert await wait_until_done(queued, 10)
        assert queued.result() == 7

    run_async(scene())


def test_a_result_raises_what_the_work_raised_and_its_thread_is_free_again():
    async def scene() -> None:
        queue = WorkQueue(1, 0, SENTENCE)
        for _ in range(2):
            queued = queue.submit(lambda: 1 // 0)
            assert await wait_until_done(queued, 10)
            with pytest.raises(ZeroDivisionError):
                queued.result()
        with pytest.raises(ZeroDivisionError):
            await queue.run(lambda: 1 // 0)
        assert await queue.run(lambda: 5) == 5

    run_async(scene())


@pytest.mark.parametrize("at_once", [True, False])
def test_cancelled_work_leaves_the_queue_unless_it_runs(slow, at_once):
    async def scene() -> None:
        queue = WorkQueue(1, 2, SENTENCE)
        running, waiting, last = (queue.submit(slow.work(number)) for number in range(3))
        if not at_once:
            await asyncio.sleep(0.05)
        running.cancel()
        waiting.cancel()
        assert await wait_until_done(waiting, 10)
        another = queue.submit(slow.work(3))
        slow.may_finish.set()
        assert await wait_until_done(another, 10)
        assert [one.result() for one in (running, last, another)] == [0, 2, 3]

    run_async(scene())
    assert slow.started == [0, 2, 3]


def test_a_cancelled_wait_leaves_the_queue(slow):
    async def scene() -> None:
        queue = WorkQueue(1, 1, SENTENCE)
        running = asyncio.create_task(queue.run(slow.work(0)))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(queue.run(slow.work(1)))
        await asyncio.sleep(0.05)
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        # The thread of the first one still works, and is not free until it ends.
        next_one = queue.submit(slow.work(2))
        assert queue.position(next_one) == 1
        slow.may_finish.set()
        assert await wait_until_done(next_one, 10)

    run_async(scene())
    assert slow.started == [0, 2]


def test_the_log_tells_waiting_and_work_apart(slow, caplog):
    caplog.set_level(logging.INFO, logger=request_log.__name__)

    async def scene() -> None:
        call = WorkQueue(1, 10, SENTENCE).serving(slow.segment)
        tasks = await ask(call, range(2))
        await asyncio.sleep(0.2)
        slow.may_finish.set()
        await asyncio.gather(*tasks)

    run_async(scene())
    waits = [int(re.findall(r"wait_ms=(\d+)", line)[0]) for line in caplog.messages]
    works = [int(re.findall(r"work_ms=(\d+)", line)[0]) for line in caplog.messages]
    assert waits[0] < 150 < works[0]
    assert works[1] < 150 < waits[1]


def test_work_of_one_kind_does_not_wait_for_another(slow):
    async def scene() -> None:
        queues = WorkQueues()
        for queue in (queues.photos, queues.segment, queues.everything, queues.full_size):
            for number in range(4):
                queue.submit(slow.work(number))
        for queue in (queues.clicks, queues.others, queues.fetches):
            assert await asyncio.wait_for(queue.run(lambda: "ok"), 10) == "ok"
        slow.may_finish.set()

    run_async(scene())


def test_segment_requests_of_api_clients_do_not_block_downloads(slow):
    async def scene() -> None:
        queues = WorkQueues()
        for number in range(8):
            queues.segment.submit(slow.work(number))
        await asyncio.wait_for(queues.full_size.run(lambda: None), 10)
        slow.may_finish.set()

    run_async(scene())
