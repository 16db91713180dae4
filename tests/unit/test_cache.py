"""The cache: bounded by bytes, least recently used first, every value computed once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from mobilesam.cache import CacheInfo, LruCache

THREADS = 8


@dataclass(eq=False)
class Blob:
    nbytes: int


@pytest.fixture
def cache() -> LruCache[str, Blob]:
    return LruCache(max_bytes=100)


def put(cache: LruCache[str, Blob], key: str, nbytes: int) -> Blob:
    return cache.get_or_compute(key, lambda: Blob(nbytes))[0]


def wait_until_all_others_wait(cache: LruCache[str, Blob]) -> None:
    """Returns once all threads but the computing one have asked: each of them counts as a hit."""
    deadline = time.monotonic() + 10
    while cache.info().hits < THREADS - 1:
        assert time.monotonic() < deadline, "the other threads did not ask"
        time.sleep(0.001)


def ask_at_once(cache: LruCache[str, Blob], compute) -> list[object]:
    """What `get_or_compute` gives or raises in every thread."""
    barrier = threading.Barrier(THREADS)

    def ask(_: int) -> object:
        barrier.wait(10)
        try:
            return cache.get_or_compute("photo", compute)
        except ArithmeticError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, range(THREADS)))


def test_a_value_is_computed_once_and_then_found(cache):
    first = put(cache, "a", 10)
    again, was_there = cache.get_or_compute("a", lambda: pytest.fail("computed again"))
    assert again is first
    assert was_there
    assert cache.get("a") is first
    assert cache.get("b") is None


def test_the_bytes_stay_within_the_bound(cache):
    for number in range(50):
        put(cache, str(number), 30)
        assert cache.info().bytes <= 100
    assert cache.info().entries == 3
    assert cache.info().bytes == 90


def test_the_least_recently_used_value_goes_first(cache):
    for key in "abc":
        put(cache, key, 30)
    cache.get("a")
    put(cache, "b", 30)
    put(cache, "d", 30)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "b", "d"]


def test_a_value_larger_than_the_bound_stays_until_the_next_one(cache):
    large = put(cache, "large", 500)
    assert cache.get("large") is large
    put(cache, "small", 10)
    assert cache.get("large") is None
    assert cache.info()[2:] == (1, 10)


def test_many_threads_that_ask_at_once_share_one_computation(cache):
    computed: list[Blob] = []

    def compute() -> Blob:
        wait_until_all_others_wait(cache)
        computed.append(Blob(10))
        return computed[-1]

    answers = ask_at_once(cache, compute)
    assert len(computed) == 1
    assert all(value is computed[0] for value, _ in answers)
    assert sorted(was_there for _, was_there in answers) == [False] + [True] * (THREADS - 1)
    assert cache.info() == CacheInfo(hits=THREADS - 1, misses=1, entries=1, bytes=10)


def test_a_failing_computation_fails_all_that_wait_and_is_tried_again(cache):
    failures: list[ArithmeticError] = []

    def fail() -> Blob:
        wait_until_all_others_wait(cache)
        failures.append(ArithmeticError("no"))
        raise failures[-1]

    assert ask_at_once(cache, fail) == failures * THREADS
    assert len(failures) == 1
    assert cache.info().entries == 0
    value, was_there = cache.get_or_compute("photo", lambda: Blob(5))
    assert (value.nbytes, was_there) == (5, False)


def test_another_key_does_not_wait_for_a_slow_computation(cache):
    started, release = threading.Event(), threading.Event()

    def slow() -> Blob:
        started.set()
        assert release.wait(10)
        return Blob(10)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(cache.get_or_compute, "slow", slow)
        assert started.wait(10)
        quick = put(cache, "quick", 10)
        assert not future.done()
        release.set()
        assert future.result(10)[1] is False
    assert cache.get("quick") is quick


def test_the_counters_tell_hits_misses_entries_and_bytes(cache):
    assert cache.info() == CacheInfo(0, 0, 0, 0)
    put(cache, "a", 10)
    put(cache, "b", 20)
    put(cache, "a", 10)
    assert cache.info() == CacheInfo(hits=1, misses=2, entries=2, bytes=30)
