"""Runs coroutines, and functions that run their own, in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

TIMEOUT_S = 60

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a new thread."""

    async def run() -> T:
        return await asyncio.wait_for(coroutine, TIMEOUT_S)

    return in_thread(lambda: asyncio.run(run()))


def in_thread(work: Callable[[], T]) -> T:
    """Calls a function in a new thread: Playwright's event loop may run in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
