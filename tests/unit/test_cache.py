"""The cache: bounded by bytes, least recently used first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mobilesam.cache import CacheInfo, LruCache


@pytest.fixture
def cache() -> LruCache[str]:
    return LruCache(max_bytes=100)


def test_a_stored_value_is_found(cache):
    cache.put("a", "value", 10)
    assert cache.get("a") == "value"
    assert cache.get("b") is None


def test_the_bytes_stay_within_the_bound(cache):
    for number in range(50):
        cache.put(number, "value", 30)
        assert cache.info().bytes <= 100
    assert cache.info()[2:] == (3, 90)


def test_the_least_recently_used_value_is_dropped_first(cache):
    for key in "abc":
        cache.put(key, "value", 30)
    cache.get("a")
    cache.get("b")
    cache.put("d", "value", 30)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "b", "d"]


def test_a_value_larger_than_the_bound_stays_until_the_next_one(cache):
    cache.put("large", "value", 500)
    assert cache.get("large") == "value"
    cache.put("small", "value", 10)
    assert cache.get("large") is None
    assert cache.info()[2:] == (1, 10)


def test_a_value_that_two_threads_computed_is_stored_once(cache):
    cache.put("a", "first", 10)
    cache.put("a", "second", 10)
    assert cache.get("a") == "first"
    assert cache.info()[2:] == (1, 10)


def test_the_counters_count_hits_misses_entries_and_bytes(cache):
    assert cache.info() == CacheInfo(0, 0, 0, 0)
    cache.put("a", "value", 10)
    cache.put("b", "value", 20)
    cache.get("a")
    cache.get("c")
    assert cache.info() == CacheInfo(hits=1, misses=2, entries=2, bytes=30)


def test_threads_that_use_it_at_once_leave_it_consistent(cache):
    def use(seed: int) -> None:
        for number in range(2000):
            key = (seed + number) % 7
            if cache.get(key) is None:
                cache.put(key, "value", 30)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    info = cache.info()
    assert info.bytes == 30 * info.entries == 90
    assert info.hits + info.misses == 8 * 2000
