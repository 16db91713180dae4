"""Runs coroutines in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

TIMEOUT_S = 60

T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a thread of its own: Playwright's event loop may run in this one."""

    async def run() -> T:
        return await asyncio.wait_for(coroutine, TIMEOUT_S)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result()
