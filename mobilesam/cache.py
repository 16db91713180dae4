"""A thread-safe least-recently-used cache, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, Protocol, TypeVar


class Sized(Protocol):
    """A value whose size in bytes is known."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        ...


V = TypeVar("V", bound=Sized)


class CacheInfo(NamedTuple):
    """`hits` are lookups that found a value, `misses` are values that had to be computed."""

    hits: int
    misses: int
    entries: int
    bytes: int


class LruCache(Generic[V]):
    """Holds values up to `max_bytes`; the newest value is kept even if it is larger."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: Hashable) -> V | None:
        """The value, which becomes the most recently used one; None if there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
                self._hits += 1
            return value

    def put(self, key: Hashable, value: V) -> None:
        """Stores a computed value; one that is there already stays."""
        with self._lock:
            self._misses += 1
            if key in self._values:
                return
            self._values[key] = value
            self._bytes += value.nbytes
            while self._bytes > self._max_bytes and len(self._values) > 1:
                self._bytes -= self._values.popitem(last=False)[1].nbytes

    def info(self) -> CacheInfo:
        """The counters."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._values), self._bytes)
