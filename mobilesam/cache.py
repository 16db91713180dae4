"""A least-recently-used cache bounded in bytes, in which every value is computed once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, NamedTuple, Protocol, TypeVar


class Sized(Protocol):
    """A value whose size in bytes is known."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        ...


K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Sized)


class CacheInfo(NamedTuple):
    """Counters since the start; a hit is a request that needed no computation of its own."""

    hits: int
    misses: int
    entries: int
    bytes: int


class LruCache(Generic[K, V]):
    """A thread-safe cache; concurrent requests for one key share a single computation."""

    def __init__(self, max_bytes: int) -> None:
        """Creates an empty cache.

        Args:
            max_bytes: limit on the sum of the values' `nbytes`. The newest value is kept even if
                it exceeds the limit, so that no computation is wasted.
        """
        self.max_bytes = max_bytes
        self._values: OrderedDict[K, V] = OrderedDict()
        self._pending: dict[K, Future[V]] = {}
        self._lock = threading.Lock()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: K) -> V | None:
        """The value, which becomes the most recently used one; None if there is none."""
        with self._lock:
            return self._touch(key)

    def get_or_compute(self, key: K, compute: Callable[[], V]) -> tuple[V, bool]:
        """The value, and whether it was found or another caller was already computing it.

        Raises:
            Exception: from `compute`, for this caller and all that waited for it; nothing is
                stored then, and the next caller computes again.
        """
        with self._lock:
            value = self._touch(key)
            if value is not None:
                self._hits += 1
                return value, True
            future = self._pending.get(key)
            owner = future is None
            if future is None:
                future = self._pending[key] = Future()
                self._misses += 1
            else:
                self._hits += 1
        if not owner:
            return future.result(), True
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
            self._store(key, value)
        future.set_result(value)
        return value, False

    def info(self) -> CacheInfo:
        """The counters."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._values), self._bytes)

    def _touch(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def _store(self, key: K, value: V) -> None:
        self._values[key] = value
        self._bytes += value.nbytes
        while self._bytes > self.max_bytes and len(self._values) > 1:
            self._bytes -= self._values.popitem(last=False)[1].nbytes
