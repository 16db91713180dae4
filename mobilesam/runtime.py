"""What the process is told once, before it computes: memory allocation and threads.

This module imports nothing heavy, so that `app.py` can call it first.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_NICENESS = 5
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def tune_allocator() -> bool:
    """Tells glibc to keep large blocks instead of mapping and faulting them in afresh each time.

    A photo's activations are tens of megabytes each; reusing their pages makes an encode nearly
    twice as fast. One arena, or worker threads would each fault in their own.

    Returns:
        Whether the allocator is glibc's and took the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl, for instance
        return False
    options = ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, (1 << 31) - 1), (_M_ARENA_MAX, 1))
    return all([mallopt(option, value) for option, value in options])


def return_free_memory() -> None:
    """Gives the system back what the process holds but does not use, where glibc allocates.

    With `tune_allocator` nothing goes back by itself. The next encode takes about twice as long.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # musl, for instance
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def usable_cores(cgroup_quota: Path = _CGROUP_QUOTA) -> int:
    """Cores that this process may use: a container often sees many and may use two."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = cgroup_quota.read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no quota
        pass
    return max(1, cores)


def in_fresh_thread(work: Callable[[], T]) -> T:
    """Does a piece of work in a new thread, waits for it, and hands back what it returns.

    OpenMP keeps helper threads for every thread that has computed, until that thread ends. Once
    there are more of them than cores, all of them go to sleep at every step instead of waiting a
    moment, and a click takes 25 ms instead of 15. So what is not a click computes in a thread that
    ends, and all clicks compute in one that stays.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def behind_clicks(work: Callable[[], T]) -> T:
    """Does a piece of work in a fresh thread to which the cores prefer any click.

    Both cores are busy for all of an encode. Linux keeps a niceness for every thread, and those
    that OpenMP starts for it inherit it; elsewhere the work is done as any other. Only a little
    nicer: other programs on the machine go before it too.
    """

    def nicely() -> T:
        if sys.platform.startswith("linux"):
            thread = threading.get_native_id()
            niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
            with suppress(OSError):  # a sandbox may not allow it
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
        return work()

    return in_fresh_thread(nicely)
