"""Memory allocation, CPU cores and threads of the process.

This module imports only the standard library, so that `app.py` can call it first.
"""

import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import PriorityQueue
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_NICENESS = 5
_SPINS = 1000
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def tune_process() -> None:
    """Sets how memory is allocated and how threads wait; to be called before torch is imported.

    glibc keeps freed memory instead of returning it to the system each time. The activations of an
    encode are tens of megabytes each; reusing their pages makes it nearly twice as fast. There is
    one arena, because otherwise every thread would fault in its own pages.

    OpenMP's threads soon sleep when they wait for one another, unless the user has chosen
    otherwise: where another program has taken a core, they would spin for its whole time slice.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))  # read when torch loads libgomp
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_M_ARENA_MAX, 1)


def return_free_memory() -> None:
    """Returns freed memory to the system, which `tune_process` prevents otherwise.

    The next encode takes about twice as long.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def usable_cores(cgroup_quota: Path = _CGROUP_QUOTA) -> int:
    """Number of cores that this process may use, which a container's quota can limit."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no cgroup, or no quota ("max")
        quota, period = cgroup_quota.read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return cores


def run_at_low_priority(work: Callable[[], T]) -> T:
    """Calls a function in a new thread with a lower priority than the threads that decode clicks.

    An encode uses all cores for its whole duration. On Linux, niceness is per thread and inherited
    by the threads that OpenMP starts; on other systems the priority is not changed. The niceness
    is small because it applies to the other programs on the machine too.
    """

    def work_at_low_priority() -> T:
        if sys.platform.startswith("linux"):
            thread = threading.get_native_id()
            niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
            with suppress(OSError):  # a sandbox may forbid it
                os.setpriority(os.PRIO_PROCESS, thread, niceness)
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work_at_low_priority).result()


class ModelThreads(Protocol):
    """The threads in which a model computes; every method returns what the work returns.

    Attributes:
        photos_at_once: how many photos are worth reading and answering at the same time.
    """

    photos_at_once: int

    def click(self, work: Callable[[], T]) -> T:
        """Decodes one prompt, for which a user waits."""

    def prompts(self, work: Callable[[], T]) -> T:
        """Decodes a batch of prompts."""

    def encode(self, work: Callable[[], T]) -> T:
        """Encodes photos."""


class CpuThreads:
    """Prompts are decoded in the threads that ask; photos are encoded one at a time."""

    photos_at_once = 1

    def __init__(self) -> None:
        # Two encodes at once take as long as one after the other, with twice the memory.
        self._encoding = threading.Lock()

    def click(self, work: Callable[[], T]) -> T:
        """Runs in the calling thread."""
        return work()

    def prompts(self, work: Callable[[], T]) -> T:
        """Runs in the calling thread."""
        return work()

    def encode(self, work: Callable[[], T]) -> T:
        """Runs in a new thread with a lower priority, one at a time."""
        with self._encoding:
            return run_at_low_priority(work)


class GpuThread:
    """One permanent thread for all work on a GPU; clicks first, the rest in the order of the calls.

    CUDA's libraries start anew in every thread that uses them, which takes half a second.
    """

    def __init__(self) -> None:
        self.photos_at_once = min(8, usable_cores())  # each may have hundreds of megabytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gpu")
        self._waiting: PriorityQueue[tuple[int, int, Callable[[], None]]] = PriorityQueue()
        self._order = count()

    def click(self, work: Callable[[], T]) -> T:
        """Runs before everything that waits, except earlier clicks."""
        return self._run(0, work)

    def prompts(self, work: Callable[[], T]) -> T:
        """Runs after the clicks that wait, in the order of the calls."""
        return self._run(1, work)

    def encode(self, work: Callable[[], T]) -> T:
        """Runs after the clicks that wait, in the order of the calls."""
        return self._run(1, work)

    def _run(self, priority: int, work: Callable[[], T]) -> T:
        result: Future[T] = Future()
        self._waiting.put((priority, next(self._order), lambda: _settle(result, work)))
        # One call for each entry, but not necessarily for this one.
        self._thread.submit(lambda: self._waiting.get_nowait()[-1]())
        return result.result()


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
