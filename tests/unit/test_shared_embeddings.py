"""The second level of the cache: segmenters that share embeddings, without a server."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from mobilesam import Prompt, Segmenter, Settings, shared_embeddings
from mobilesam.embedding_codec import encode_embedding
from mobilesam.model.backend import plain_backend
from tests.event_loop import run_async
from tests.opening import new_handlers, opened
from tests.redis_server import until

CENTRE = Prompt([(90, 60)], [1])


class FakeCache:
    """A `SharedCache` in this process, which stores at once."""

    def __init__(self):
        self.values = {}
        self.leases = set()
        self.left_ms = lambda: 0  # of another process's lease
        self.lookups = 0
        self.threads = set()

    def get(self, key):
        self.lookups += 1
        self.threads.add(threading.current_thread())
        return self.values.get(key)

    def put(self, key, make_value):
        self.values[key] = make_value()

    def acquire(self, key):
        if key in self.leases:
            return None
        self.leases.add(key)
        return lambda: self.leases.remove(key)

    def lease_left_ms(self, key):
        return self.left_ms()

    def errors(self):
        return 5

    def answers(self):
        return True


@pytest.fixture
def cache():
    return FakeCache()


@pytest.fixture
def new_segmenter(cache, stub_sam, stub_weights):
    """new_segmenter(checkpoint="stub", **settings): as another process has it."""

    def new(checkpoint="stub", **settings):
        backend = plain_backend(stub_sam)
        return Segmenter(backend, stub_weights, checkpoint, Settings(**settings), cache)

    return new


@pytest.fixture
def first(new_segmenter):
    return new_segmenter()


@pytest.fixture
def second(new_segmenter):
    return new_segmenter()


def test_a_photo_is_encoded_once_for_two_processes(first, second, stub_sam, disc, cache):
    one, was_cached = first.encode_photo(first.open(disc))
    assert not was_cached
    other, was_cached = second.encode_photo(second.open(disc))
    assert was_cached
    assert stub_sam.image_encoder.calls == 1
    assert other.features.equal(one.features)
    assert (other.frame, other.key) == (one.frame, one.key)
    masks = [s.predict(e, CENTRE).masks for s, e in ((first, one), (second, other))]
    assert (masks[0] == masks[1]).all()
    assert masks[0].any()
    assert first.shared_cache_info() == (0, 1, 5, True)
    assert second.shared_cache_info() == (1, 0, 5, True)
    assert not cache.leases


def test_a_crop_is_shared_too_and_keeps_its_place(first, second, stub_sam, disc):
    first.encode(disc, (20, 10, 120, 100))
    crop = second.encode(disc, (20, 10, 120, 100))
    assert crop.frame.crop_xyxy == (20, 10, 120, 100)
    assert stub_sam.image_encoder.calls == 1
    second.encode(disc)
    assert stub_sam.image_encoder.calls == 2


def test_another_checkpoint_shares_nothing(first, new_segmenter, stub_sam, disc):
    first.encode(disc)
    new_segmenter(checkpoint="another").encode(disc)
    assert stub_sam.image_encoder.calls == 2


def test_the_key_names_the_modules_because_other_ones_round_differently(first, disc, cache):
    key = first.encode(disc).key
    assert list(cache.values) == [f"mobilesam:plain float32:{key}"]


def test_what_is_in_memory_is_not_looked_up(first, disc, cache):
    embedding = first.encode(disc)
    lookups = cache.lookups
    assert first.encode(disc) is first.cached(embedding.key) is embedding
    assert cache.lookups == lookups


def test_a_click_on_an_evicted_photo_finds_it_in_the_shared_cache(
    new_segmenter, stub_sam, draw_disc
):
    segmenter = new_segmenter(cache_bytes=1)  # room for one
    before = segmenter.encode(draw_disc(0))
    segmenter.encode(draw_disc(1))
    after = segmenter.cached(before.key)
    assert after is not before
    assert after.features.equal(before.features)
    assert segmenter.cached(before.key) is after
    crop = segmenter.encode(draw_disc(0), (0, 0, 50, 60))
    segmenter.encode(draw_disc(1))
    assert segmenter.cached_crop(before, (0, 0, 50, 60)).features.equal(crop.features)
    assert stub_sam.image_encoder.calls == 3


def test_where_the_gpus_memory_is_full_an_embedding_stays_on_the_cpu(
    first, second, stub_sam, disc, monkeypatch
):
    decode = shared_embeddings.decode_embedding
    devices = []

    def full_at_first(value, key, device, max_pixels):
        devices.append(device)
        if len(devices) == 1:
            raise torch.OutOfMemoryError
        return decode(value, key, device, max_pixels)

    before = first.encode(disc)
    monkeypatch.setattr(shared_embeddings, "decode_embedding", full_at_first)
    assert second.encode(disc).features.equal(before.features)
    assert [device.type for device in devices] == ["cpu", "cpu"]
    assert stub_sam.image_encoder.calls == 1


def test_the_event_loop_does_not_wait_for_the_shared_cache(
    new_segmenter, cache, draw_disc, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    segmenter = new_segmenter(cache_bytes=1)
    handlers = new_handlers(segmenter, tmp_path)
    path = tmp_path / "disc.png"
    Image.fromarray(draw_disc(0)).save(path)
    token = opened(handlers, path)["token"]
    segmenter.encode(draw_disc(1))  # which evicts it
    cache.threads.clear()

    async def encode_crop():
        query = {"token": token, "crop": [20, 10, 120, 100]}
        return await handlers.opening.encode_crop(query), threading.current_thread()

    reply, loop_thread = run_async(encode_crop())
    assert reply["ok"]
    assert cache.threads
    assert loop_thread not in cache.threads


@pytest.mark.parametrize(
    "damage", [lambda value: value[:-1], lambda value: b"", lambda value: b"x"]
)
def test_a_damaged_value_is_computed_again_and_replaced(
    first, second, stub_sam, disc, cache, damage
):
    first.encode(disc)
    ((key, value),) = cache.values.items()
    cache.values[key] = damage(value)
    assert not second.encode_photo(second.open(disc))[1]
    assert stub_sam.image_encoder.calls == 2
    assert cache.values[key] == value
    assert second.shared_cache_info().misses == 1
    assert second.shared_cache_info().errors > 5
    assert not cache.leases


def lease_of(segmenter, disc):
    return f"mobilesam:plain float32:stub:{segmenter.open(disc).digest}"


@pytest.mark.parametrize("stores", [True, False])
def test_a_photo_that_another_process_encodes_is_waited_for(
    segmenter, second, stub_sam, disc, cache, stores
):
    """That process either stores it, or dies and loses its lease."""
    value = encode_embedding(segmenter.encode(disc))
    end_lease = cache.acquire(lease_of(second, disc))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.encode_photo, second.open(disc))
        until(lambda: cache.lookups > 4)
        assert not waiting.done()
        if stores:
            cache.values[lease_of(second, disc)] = value
        else:
            end_lease()
        assert waiting.result(10)[1] == stores
    assert stub_sam.image_encoder.calls == (1 if stores else 2)


class Clock:
    """A stand-in for the module `time`, whose seconds pass only while somebody sleeps."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(shared_embeddings, "time", clock)
    return clock


def seconds_to_encode(segmenter, photo, clock):
    started_at = clock.now_s
    segmenter.encode(photo)
    return clock.now_s - started_at


@pytest.mark.parametrize("left_ms", [-1, 0, 2000, 10**9])
def test_a_lease_that_is_not_renewed_is_waited_for_once(
    second, stub_sam, disc, draw_disc, cache, clock, left_ms
):
    """It never ends: somebody's key without expiry, or a server that answers the same to all."""
    cache.left_ms = lambda: left_ms
    cache.acquire = lambda key: None
    assert seconds_to_encode(second, disc, clock) == pytest.approx(5, abs=0.2)
    assert second.shared_cache_info().errors == 5 + 1
    for number in range(1, 4):
        clock.sleep(19)
        assert seconds_to_encode(second, draw_disc(number), clock) == 0
    assert second.shared_cache_info().errors == 5 + 1
    clock.sleep(4)  # a minute after the wait in vain: once more
    assert seconds_to_encode(second, draw_disc(9), clock) == pytest.approx(5, abs=0.2)
    assert stub_sam.image_encoder.calls == 5


def test_a_lease_that_is_renewed_is_waited_for_longer_but_not_forever(second, disc, cache, clock):
    renewals = itertools.cycle([3000, 2950, 2900])
    cache.left_ms = lambda: next(renewals)
    cache.leases.add(lease_of(second, disc))
    assert seconds_to_encode(second, disc, clock) == pytest.approx(20, abs=0.2)
    assert second.shared_cache_info().errors == 5 + 1
    assert len(cache.leases) == 1  # still the other's


def test_an_encode_that_fails_ends_its_lease(second, disc, cache, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("mobilesam.segmenter.compute_embedding", fail)
    with pytest.raises(MemoryError):
        second.encode(disc)
    assert not cache.leases
    assert not cache.values


def test_without_a_shared_cache_there_is_no_information_on_it(segmenter):
    assert segmenter.shared_cache_info() is None
    assert segmenter.cached("unknown") is None


def test_encodes_are_reported_but_not_what_was_found(first, second, disc):
    reported = {first: [], second: []}
    for segmenter, seconds in reported.items():
        segmenter.on_encode = seconds.append
        segmenter.encode(disc)
        segmenter.encode(disc)
    assert len(reported[first]) == 1
    assert 0 < reported[first][0] < 30
    assert reported[second] == []
