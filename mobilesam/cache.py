"""The two levels of a cache: a thread-safe one in memory, and one that processes share."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, Protocol, TypeVar

V = TypeVar("V")


class CacheInfo(NamedTuple):
    """`hits` are lookups that found a value, `misses` are values that were put into the cache."""

    hits: int
    misses: int
    entries: int
    bytes: int


class SharedCacheInfo(NamedTuple):
    """What became of the lookups in a shared cache.

    Attributes:
        hits: lookups that found a value.
        misses: all other lookups, also those that failed.
        errors: commands that the server refused or did not answer, damaged values, and waits for
            other processes in vain.
        answers: whether the server answered last time.
    """

    hits: int
    misses: int
    errors: int
    answers: bool


class SharedCache(Protocol):
    """Bytes by key on a server that several processes use; safe to share between threads.

    No method raises, and none waits longer than a moment for the server.
    """

    def get(self, key: str) -> bytes | None:
        """The value; None if there is none, or the server does not answer."""

    def put(self, key: str, make_value: Callable[[], bytes]) -> None:
        """Makes and stores a value in another thread."""

    def acquire(self, key: str) -> Callable[[], None] | None:
        """Leases the computation of a value, unless another process does it already.

        Returns:
            A function that ends the lease once all earlier calls of `put` are done; None if another
            process holds it. A process that dies loses its leases after a few seconds. If the
            server does not answer, everyone gets a lease.
        """

    def lease_left_ms(self, key: str) -> int:
        """How long another process's lease lasts unless renewed; 0 or less if that is unknown."""

    def errors(self) -> int:
        """How many commands the server has refused or not answered."""

    def answers(self) -> bool:
        """Whether the server answered last time; if that was long ago, it is asked again."""


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
        """Stores a value, unless there is one already."""
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
