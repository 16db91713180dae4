"""A value that another thread is still loading, such as the model."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from mobilesam.web.server.replies import BusyError

T = TypeVar("T")


async def wait_until_loaded(future: Future[Any], timeout_s: float) -> bool:
    """Waits in the event loop, without a thread.

    Returns:
        Whether loading has ended, with a value or with an error.
    """
    if not future.done():
        # Shielded: giving up must not cancel the loading itself.
        waiter = asyncio.shield(asyncio.wrap_future(future))
        with suppress(Exception):  # `loaded` raises what loading raised
            await asyncio.wait_for(waiter, timeout_s)
    return future.done()


def loaded(future: Future[T]) -> T:
    """The value.

    Raises:
        BusyError: it is still being loaded.
    """
    if not future.done():
        raise BusyError("The model is still loading. Try again in a moment.")
    return future.result()
