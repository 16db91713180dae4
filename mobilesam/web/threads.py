"""Threads of their own for what the page asks, so that a click never waits for slow work.

Gradio would give all of it the 40 threads in which it also opens photos and greets visitors; a few
dozen who find everything, or save large photos, would take them all, to wait for one another.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio import to_thread

from mobilesam.web.replies import Reply

CLICK_THREADS = 4
"""One decodes at a time; meanwhile the others read what came and write masks."""
OTHER_THREADS = 16

ServerFunction = Callable[[Any], Awaitable[Reply]]


def server_functions(
    click: Callable[[Any], Reply], *others: Callable[[Any], Reply]
) -> list[ServerFunction]:
    """What the page may call, in the order of asking: clicks in threads of their own.

    Args:
        click: answers a click.
        *others: all the rest.
    """
    for_clicks, for_others = (anyio.CapacityLimiter(n) for n in (CLICK_THREADS, OTHER_THREADS))
    return [_in_threads(click, for_clicks), *(_in_threads(one, for_others) for one in others)]


def _in_threads(method: Callable[[Any], Reply], threads: anyio.CapacityLimiter) -> ServerFunction:
    """A function of that name: Gradio marks what the page may call by an attribute on it."""

    @functools.wraps(method)
    async def call(query: Any) -> Reply:
        return await to_thread.run_sync(method, query, limiter=threads)

    return call
