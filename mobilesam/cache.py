"""A thread-safe least-recently-used cache, bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


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
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: Hashable) -> V | None:
        """The value, which becomes the most recently used one; None if there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            return self._entries[key][0]

    def put(self, key: Hashable, value: V, nbytes: int) -> None:
        """Stores a computed value, unless there is one already."""
        with self._lock:
            self._misses += 1
            if key in self._entries:
                return
            self._entries[key] = value, nbytes
            self._bytes += nbytes
            while self._bytes > self._max_bytes and len(self._entries) > 1:
                self._bytes -= self._entries.popitem(last=False)[1][1]

    def info(self) -> CacheInfo:
        """The counters."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._entries), self._bytes)
