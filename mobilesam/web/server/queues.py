"""Work queues: each kind of work has threads of its own and a bounded number of waiting requests.

Gradio would run everything in one pool of threads, in which slow work would block all clicks.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread

from mobilesam.web.server.replies import BusyError, Reply, refusal
from mobilesam.web.server.request_log import queued_at

T = TypeVar("T")
ServerFunction = Callable[[Any], Awaitable[Reply]]


class WorkQueue:
    """First in, first out, to be used in one event loop.

    At most `threads` pieces of work run at once and `max_waiting` more wait; any more raise
    BusyError with the `busy_message`.
    """

    def __init__(self, threads: int, max_waiting: int, busy_message: str) -> None:
        self._max_waiting = max_waiting
        self._busy_message = busy_message
        self.limiter = anyio.CapacityLimiter(threads)
        self._threads = self._free = threads
        self._waiting: deque[asyncio.Future[None]] = deque()

    def submit(self, work: Callable[[], T]) -> QueuedWork[T]:
        """Runs a function in a thread as soon as a slot is free."""
        return QueuedWork(self, work)

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
        """Waits for a slot and holds it, for work that needs no thread."""
        slot = self.enter()
        try:
            await slot
            yield
        finally:
            self.leave(slot)

    def serving(self, method: Callable[[Any], Reply]) -> ServerFunction:
        """The method, which is `answering`, as a server function that runs in this queue."""

        @functools.wraps(method)
        async def call(query: Any) -> Reply:
            try:
                return await self.run(functools.partial(method, query))
            except BusyError as error:
                return refusal(method.__name__, query, error)

        return call

    def enter(self) -> asyncio.Future[None]:
        """A slot, which is done as soon as it is free."""
        if not self._free and len(self._waiting) >= self._max_waiting:
            raise BusyError(self._busy_message)
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        self._fill()
        return slot

    def leave(self, slot: asyncio.Future[None]) -> None:
        """Frees a slot, or gives up waiting for it if it was cancelled."""
        if not slot.cancelled():
            self._free += 1
            self._fill()
        elif slot in self._waiting:
            self._waiting.remove(slot)

    def position(self, slot: asyncio.Future[None]) -> int:
        """How many pieces of work are ahead of a slot; 0 once it is free."""
        if slot not in self._waiting:
            return 0
        return self._waiting.index(slot) + self._threads - self._free

    def _fill(self) -> None:
        while self._free and self._waiting:
            slot = self._waiting.popleft()
            if not slot.cancelled():
                self._free -= 1
                slot.set_result(None)


class QueuedWork(Generic[T]):
    """Work that waits, runs or is done; made by `WorkQueue.submit`."""

    def __init__(self, queue: WorkQueue, work: Callable[[], T]) -> None:
        queued_at.set(time.perf_counter())
        self._queue = queue
        self._slot = queue.enter()
        self._task = asyncio.create_task(self._run(work))
        # asyncio would log the error of work whose result is never asked for.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

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

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            await self._slot
            return await to_thread.run_sync(work, limiter=self._queue.limiter)
        finally:
            self._queue.leave(self._slot)


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
        busy = "The server is busy. Try again shortly."
        photos_busy = "Too many photos are waiting to be opened. Try again in a minute."
        self.photos = WorkQueue(1, 80, photos_busy)
        self.clicks = WorkQueue(4, 400, busy)
        self.full_size = WorkQueue(2, 32, busy)
        self.segment = WorkQueue(2, 32, busy)
        self.everything = WorkQueue(1, 8, busy)
        self.fetches = WorkQueue(4, 16, busy)
        self.others = WorkQueue(16, 400, busy)
