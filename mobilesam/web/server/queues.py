"""Who waits for whom: each kind of work has threads of its own, and a line of those who wait.

Gradio would give all of it the 40 threads in which it also greets visitors; a few dozen who find
everything, or save large photos, would take them all, to wait for one another.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from mobilesam.web.server.replies import BusyError, Reply, answering
from mobilesam.web.server.request_log import asked_now

PROMISE_S = 20.0
"""For an upload; a promise for longer would let a few who never come keep others out."""

T = TypeVar("T")
ServerFunction = Callable[[Any], Awaitable[Reply]]


class WorkQueue:
    """Threads for one kind of work, in the order of asking; who waits for one holds none.

    To be used within one event loop.
    """

    def __init__(self, threads: int, most_waiting: int, when_full: str) -> None:
        """Nobody is in it.

        Args:
            threads: how much of this work is done at once.
            most_waiting: how many may wait beside; one more is refused.
            when_full: the sentence for who is refused.
        """
        self._threads = anyio.CapacityLimiter(threads)
        self._most_waiting = most_waiting
        self._when_full = when_full
        self._promised_at: deque[float] = deque()

    @property
    def is_full(self) -> bool:
        """Whether who comes now would be refused."""
        return self._threads.statistics().tasks_waiting >= self._most_waiting

    @answering
    def line(self, _query: Mapping[str, Any]) -> Reply:
        """Promises a place to who has to upload something first; how many there are before."""
        now = time.monotonic()
        while self._promised_at and self._promised_at[0] < now - PROMISE_S:
            self._promised_at.popleft()
        statistics = self._threads.statistics()
        before = statistics.tasks_waiting + len(self._promised_at)
        if before >= self._most_waiting:
            raise BusyError(self._when_full)
        self._promised_at.append(now)
        return {"before": before + statistics.borrowed_tokens}

    def keep_promise(self) -> None:
        """One of those who were promised a place has come."""
        if self._promised_at:
            self._promised_at.popleft()

    @answering
    def refusal(self, _query: Mapping[str, Any]) -> Reply:
        """The reply to who finds the queue full."""
        raise BusyError(self._when_full)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Inside, it is the turn of whoever came, whose work needs no thread.

        Raises:
            BusyError: there is no room.
        """
        if self.is_full:
            raise BusyError(self._when_full)
        async with self._threads:
            yield

    async def run(self, work: Callable[[], T]) -> T:
        """Does a piece of work when its turn comes.

        Raises:
            Exception: what the work raises.
        """
        with asked_now():
            return await to_thread.run_sync(work, limiter=self._threads)

    def serving(self, method: Callable[[Any], Reply]) -> ServerFunction:
        """The method in this queue, under its own name: Gradio notes on it that pages may call it.

        Args:
            method: answers a query, as `mobilesam.web.server.replies.answering` has it.
        """

        @functools.wraps(method)
        async def call(query: Any) -> Reply:
            return self.refusal(query) if self.is_full else await self.run(partial(method, query))

        return call


class WorkQueues:
    """The queues of one page.

    Attributes:
        photos: opens photos. Two encodes at once take as long as one after the other; at a second
            or two each, whoever came behind eighty would have given up before.
        clicks: one decodes at a time; meanwhile the others read what came and write masks.
        full_size: a photo of 40 megapixels takes hundreds of megabytes while it is read or written.
        everything: for programs, who get it in one piece, of up to minutes.
        fetches: of photos whose address a program gave; each may take many seconds.
        others: all else.
    """

    def __init__(self) -> None:
        """All empty."""
        crowd = "Very many visitors are here just now; try again in a moment."
        self.photos = WorkQueue(
            1, 80, "Very many photos are waiting to be opened just now. Try again in a minute."
        )
        self.clicks = WorkQueue(4, 400, crowd)
        self.full_size = WorkQueue(2, 32, crowd)
        self.everything = WorkQueue(1, 8, crowd)
        self.fetches = WorkQueue(4, 16, crowd)
        self.others = WorkQueue(16, 400, crowd)
