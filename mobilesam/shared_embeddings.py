"""Image embeddings that several processes share: each is computed by one of them."""

import threading
import time
from collections.abc import Callable
from functools import partial

import torch

from mobilesam.cache import SharedCache, SharedCacheInfo
from mobilesam.embedding import ImageEmbedding
from mobilesam.embedding_codec import decode_embedding, encode_embedding

_POLL_S = 0.05
_WAIT_S = 20.0  # for another process
_STALL_S = 5.0  # of which without a renewal of its lease, which is due every second
_NO_WAITS_S = 60.0  # after one in vain


class SharedEmbeddings:
    """The embeddings in a shared cache, by their keys; no method raises errors of the cache."""

    def __init__(
        self, cache: SharedCache, modules: str, device: torch.device, max_pixels: int
    ) -> None:
        """`modules` encode photos and are part of the key; embeddings are put on the device.

        Those of photos with more than `max_pixels` count as damaged.
        """
        self._cache = cache
        self._modules = modules
        self._device = device
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._hits = self._misses = self._errors = 0
        self._may_wait_at = 0.0

    def get(self, key: str) -> ImageEmbedding | None:
        """The embedding, if it is there."""
        return self._counted(self._find(key))

    def get_or_compute(
        self, key: str, compute: Callable[[], ImageEmbedding]
    ) -> tuple[ImageEmbedding, bool]:
        """The embedding, and whether it was there.

        Waits if another process is computing it, and computes it if that process does not finish.
        A computed embedding is stored later, in another thread.
        """
        found, end_lease = self._find(key), None
        if not found:
            found, end_lease = self._find_or_lease(key)
        try:
            if embedding := self._counted(found):
                return embedding, True
            embedding = compute()
            self._cache.put(self._name(key), partial(encode_embedding, embedding))
            return embedding, False
        finally:
            if end_lease:
                end_lease()

    def info(self) -> SharedCacheInfo:
        """The counters, and whether the cache answers."""
        with self._lock:
            errors = self._cache.errors() + self._errors
            return SharedCacheInfo(self._hits, self._misses, errors, self._cache.answers())

    def _find_or_lease(self, key: str) -> tuple[ImageEmbedding | None, Callable[[], None] | None]:
        """The embedding, or what ends a lease to compute it; neither after a wait in vain."""
        name, left_ms = self._name(key), 0
        begun_at = renewed_at = time.monotonic()
        while True:
            end_lease = self._cache.acquire(name)
            found = self._find(key)  # again: the last holder of the lease may have stored it
            now = time.monotonic()
            if found or end_lease or now < self._may_wait_at:
                return found, end_lease
            before_ms, left_ms = left_ms, self._cache.lease_left_ms(name)
            if left_ms > before_ms:
                renewed_at = now
            if now > min(begun_at + _WAIT_S, renewed_at + _STALL_S):
                with self._lock:
                    self._errors += 1
                    self._may_wait_at = now + _NO_WAITS_S
                return None, None
            time.sleep(_POLL_S)

    def _find(self, key: str) -> ImageEmbedding | None:
        value = self._cache.get(self._name(key))
        if value is None:
            return None
        try:
            embedding = decode_embedding(value, key, self._device, self._max_pixels)
        except torch.OutOfMemoryError:  # of a GPU; prompts are decoded there all the same
            embedding = decode_embedding(value, key, torch.device("cpu"), self._max_pixels)
        if embedding is None:
            with self._lock:
                self._errors += 1
        return embedding

    def _counted(self, found: ImageEmbedding | None) -> ImageEmbedding | None:
        with self._lock:
            self._hits += found is not None
            self._misses += found is None
        return found

    def _name(self, key: str) -> str:
        return f"mobilesam:{self._modules}:{key}"
