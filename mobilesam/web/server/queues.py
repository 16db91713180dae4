"""Work queues: each kind of work has its own threads and a bounded number of waiting requests.

Gradio would run everything in one pool of threads, in which slow work would block all clicks.
"""

import asyncio
import contextvars
import functools
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from mobilesam.web.server.replies import BusyError, Reply, refusal
from mobilesam.web.server.request_log import queued_at

T = TypeVar("T")


class WorkQueue:
    """First in, first out, for one event loop.

    At most `threads` pieces of work run at once and `max_waiting` more wait; any more raise
    BusyError with the `busy_message`.
    """

    def __init__(self, threads: int, max_waiting: int, busy_message: str) -> None:
        self._executor = ThreadPoolExecutor(threads)
        self._max_pending = threads + max_waiting
        self._busy_message = busy_message
        self._pending: list[Future[Any]] = []
        self._last_submit = -math.inf

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs a function as soon as a thread is free; it can be cancelled until then."""
        self._pending = [one for one in self._pending if not one.done()]
        if len(self._pending) >= self._max_pending:
            raise BusyError(self._busy_message)
        queued_at.set(time.perf_counter())
        self._last_submit = time.monotonic()
        future = self._executor.submit(contextvars.copy_context().run, work)
        self._pending.append(future)
        return future

    async def run(self, work: Callable[[], T]) -> T:
        """Submits a function and returns its result; a cancelled wait leaves the queue."""
        return await asyncio.wrap_future(self.submit(work))

    @property
    def pending(self) -> int:
        """How many pieces of work run or wait."""
        return sum(not one.done() for one in self._pending)

    def is_idle(self, for_s: float) -> bool:
        """Whether nothing runs or waits, and nothing has been submitted for some seconds."""
        return not self.pending and time.monotonic() - self._last_submit > for_s

    def position(self, future: Future[Any]) -> int:
        """How many pieces of work are ahead of one; 0 once it has started."""
        if future.running() or future.done():
            return 0
        ahead = self._pending[: self._pending.index(future)]
        return sum(not one.done() for one in ahead)

    def serving(self, method: Callable[[Any], Reply]) -> Callable[[Any], Awaitable[Reply]]:
        """The method, which is `answering`, as a server function that runs in this queue."""

        @functools.wraps(method)
        async def call(query: Any) -> Reply:
            try:
                return await self.run(functools.partial(method, query))
            except BusyError as error:
                return refusal(method.__name__, query, error)

        return call


class WorkQueues:
    """The queues of one application.

    Attributes:
        photos: opens photos, one at a time: two encodes at once take as long as one after the
            other. At one or two seconds each, more than 80 would wait too long.
        clicks: a few decode at once, so that none waits long behind a slow one.
        long_logs: clicks on masks with many interactions, which may all have to be decoded again.
        full_size: downloads. A photo of 40 megapixels needs hundreds of megabytes while it is read.
        segment: the endpoint /segment, apart from downloads because it encodes photos.
        everything: the endpoint /everything, which takes up to minutes.
        fetches: photos from URLs that API clients send; each may take many seconds.
        embeddings: those that pages ask for, to decode masks themselves.
        others: everything else.
    """

    def __init__(self) -> None:
        busy = "The server is busy. Try again shortly."
        photos_busy = "Too many photos are waiting to be opened. Try again in a minute."
        self.photos = WorkQueue(1, 80, photos_busy)
        self.clicks = WorkQueue(4, 400, busy)
        self.long_logs = WorkQueue(1, 100, busy)
        self.full_size = WorkQueue(2, 32, busy)
        self.segment = WorkQueue(2, 32, busy)
        self.everything = WorkQueue(1, 8, busy)
        self.fetches = WorkQueue(4, 16, busy)
        self.embeddings = WorkQueue(1, 32, busy)
        self.others = WorkQueue(16, 400, busy)

    def are_clicks_idle(self, for_s: float) -> bool:
        """Whether nobody has clicked for some seconds."""
        return self.clicks.is_idle(for_s) and self.long_logs.is_idle(for_s)


async def wait_until_done(future: Future[Any], timeout_s: float | None = None) -> bool:
    """Waits, without a thread, for work or for the model; returns whether the future is done."""
    waiter = asyncio.wrap_future(future)
    # asyncio would log an error that nobody retrieves from the waiter.
    waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({waiter}, timeout=timeout_s)
    return future.done()
