"""Work queues: each kind of work has threads of its own and a bounded number of waiting requests.

Gradio would run everything in one pool of threads, where a few dozen requests for slow work would
block all clicks.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread

from mobilesam.web.server.replies import BusyError, Reply, busy_reply
from mobilesam.web.server.request_log import queued_at

T = TypeVar("T")
ServerFunction = Callable[[Any], Awaitable[Reply]]
_Slot = asyncio.Future[None]


class WorkQueue:
    """First in, first out: at most so many at once, and at most so many waiting.

    To be used within one event loop. A full queue raises BusyError.
    """

    def __init__(self, threads: int, max_waiting: int, busy_message: str) -> None:
        """Creates an empty queue.

        Args:
            threads: how many pieces of work run at once.
            max_waiting: how many more may wait.
            busy_message: the sentence for requests that are refused.
        """
        self.busy_message = busy_message
        self._limiter = anyio.CapacityLimiter(threads)
        self._max_waiting = max_waiting
        self._threads = self._free = threads
        self._waiting: deque[_Slot] = deque()

    @property
    def is_full(self) -> bool:
        """Whether a new request would be refused."""
        return not self._free and len(self._waiting) >= self._max_waiting

    def submit(self, work: Callable[[], T]) -> QueuedWork[T]:
        """Runs a function in a thread as soon as a slot is free; call this in the event loop."""
        queued_at.set(time.perf_counter())
        slot = self._enter()
        task = asyncio.create_task(self._run(slot, work))
        # asyncio would log the error of work whose result is never asked for.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return QueuedWork(self, slot, task)

    async def run(self, work: Callable[[], T]) -> T:
        """Submits a function and returns its result; a cancelled wait leaves the queue."""
        queued = self.submit(work)
        try:
            await queued.wait()
        finally:
            queued.cancel()
        return queued.result()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Holds a slot while the body of the `async with` statement runs, without a thread."""
        slot = self._enter()
        try:
            await slot
            yield
        finally:
            self._leave(slot)

    def serving(self, method: Callable[[Any], Reply]) -> ServerFunction:
        """The method as a server function that runs in this queue.

        Args:
            method: handles a query; see `mobilesam.web.server.replies.answering`.
        """

        @functools.wraps(method)
        async def call(query: Any) -> Reply:
            try:
                return await self.run(functools.partial(method, query))
            except BusyError as error:
                return busy_reply(query, str(error))

        return call

    def position(self, slot: _Slot) -> int:
        """How many pieces of work are ahead of a slot; 0 if it is taken."""
        if slot not in self._waiting:
            return 0
        return self._waiting.index(slot) + self._threads - self._free

    def _enter(self) -> _Slot:
        """A future that is done as soon as a slot is taken."""
        if self.is_full:
            raise BusyError(self.busy_message)
        slot: _Slot = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        self._fill()
        return slot

    def _leave(self, slot: _Slot) -> None:
        if slot.cancelled():
            with suppress(ValueError):
                self._waiting.remove(slot)
        else:
            self._free += 1
            self._fill()

    def _fill(self) -> None:
        while self._free and self._waiting:
            slot = self._waiting.popleft()
            if not slot.cancelled():
                self._free -= 1
                slot.set_result(None)

    async def _run(self, slot: _Slot, work: Callable[[], T]) -> T:
        try:
            await slot
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._leave(slot)


class QueuedWork(Generic[T]):
    """Work that waits, runs or is done."""

    def __init__(self, queue: WorkQueue, slot: _Slot, task: asyncio.Task[T]) -> None:
        """Created by `WorkQueue.submit`."""
        self._queue = queue
        self._slot = slot
        self._task = task

    @property
    def position(self) -> int:
        """How many pieces of work are ahead; 0 while it runs."""
        return self._queue.position(self._slot)

    @property
    def done(self) -> bool:
        """Whether there is a result, an error or a cancellation."""
        return self._task.done()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the work is done or the time is over; returns `done`."""
        await asyncio.wait({self._task}, timeout=timeout_s)
        return self.done

    def result(self) -> T:
        """The result; raises what the work raised."""
        return self._task.result()

    def cancel(self) -> None:
        """Leaves the queue, unless the work has started."""
        self._slot.cancel()


class WorkQueues:
    """The queues of one application.

    Attributes:
        photos: opens photos, one at a time: two encodes at once take as long as one after the
            other. At one or two seconds each, more than 80 would wait too long.
        clicks: one decodes at a time; meanwhile the others parse requests and encode masks.
        full_size: downloads. A photo of 40 megapixels needs hundreds of megabytes while it is read.
        segment: the endpoint /segment, apart from downloads because it encodes photos.
        everything: the endpoint /everything, which takes up to minutes.
        fetches: photos from URLs that API clients send; each may take many seconds.
        others: everything else.
    """

    def __init__(self) -> None:
        """Creates empty queues."""
        busy = "The server is busy. Try again shortly."
        self.photos = WorkQueue(
            1, 80, "Too many photos are waiting to be opened. Try again in a minute."
        )
        self.clicks = WorkQueue(4, 400, busy)
        self.full_size = WorkQueue(2, 32, busy)
        self.segment = WorkQueue(2, 32, busy)
        self.everything = WorkQueue(1, 8, busy)
        self.fetches = WorkQueue(4, 16, busy)
        self.others = WorkQueue(16, 400, busy)
