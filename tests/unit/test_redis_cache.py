"""The shared cache in Redis: leases, and what a server that fails costs."""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from mobilesam import MobileSamError, redis_cache
from mobilesam.cache import SharedCache
from mobilesam.redis_cache import RedisCache
from tests.redis_server import NEEDS_REDIS, TcpServer, proxied, running_redis, until

VALUE = bytes(range(256)) * 8200  # as large as an embedding
DELAY_S = 1.0
MARGIN_S = 1.0  # the machine may be busy; a slow server takes 5 s


@pytest.fixture(scope="module")
def shared_server():
    with running_redis() as server:
        yield server


@pytest.fixture
def server(shared_server):
    """A server without values."""
    shared_server.client.flushall()
    yield shared_server
    shared_server.client.config_set("maxmemory", 0)


@pytest.fixture
def proxy(server):
    with proxied(server) as proxy:
        yield proxy


@pytest.fixture
def connect():
    """connect(url): a cache whose connections are closed at the end."""
    caches = []

    def new(url) -> SharedCache:
        caches.append(RedisCache(url))
        return caches[-1]

    yield new
    for cache in caches:
        cache._probe_at = cache._warn_at = math.inf  # the next test reads its own log alone
        cache._client.close()
        cache._commands.shutdown(wait=False)
        cache._background.shutdown(wait=False)


@pytest.fixture
def cache(connect, server):
    return connect(server.url)


def stored(cache, key, value=VALUE):
    cache.put(key, lambda: value)
    until(lambda: cache.get(key) == value)


def timed(work):
    """The seconds that a call took, and its result."""
    started_at = time.perf_counter()
    result = work()
    return time.perf_counter() - started_at, result


pytestmark = [NEEDS_REDIS, pytest.mark.slow]
TIMEOUT_S = redis_cache._TIMEOUT_S


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is not taken for a server that does not answer."""
    monkeypatch.setattr(redis_cache, "_TIMEOUT_S", DELAY_S)


def test_a_command_gets_a_quarter_of_a_second():
    assert TIMEOUT_S == 0.25


def test_a_value_is_found_by_other_processes_for_a_day(cache, connect, server):
    assert cache.get("a") is None
    stored(cache, "a")
    assert connect(server.url).get("a") == VALUE
    assert 24 * 3600 - 60 < server.client.ttl("a") <= 24 * 3600
    assert (cache.errors(), cache.answers()) == (0, True)


def test_a_value_is_made_and_stored_in_another_thread(cache):
    go, threads = threading.Event(), []

    def make():
        threads.append(threading.current_thread())
        go.wait(10)
        return b"value"

    cache.put("a", make)
    assert cache.get("a") is None
    go.set()
    until(lambda: cache.get("a") == b"value")
    assert threads != [threading.current_thread()]


def test_values_that_wait_to_be_stored_are_bounded(cache):
    go = threading.Event()
    made = []

    def make():
        go.wait(10)
        made.append(1)
        return b"value"

    for number in range(50):
        cache.put(f"{number}", make)
    go.set()
    last = cache.acquire("last")
    last()
    until(lambda: cache._client.exists("last:lease") == 0)  # which is behind all of them
    assert len(made) == redis_cache._MAX_WRITES


def test_one_process_at_a_time_has_a_lease(cache, connect, server):
    other = connect(server.url)
    end = cache.acquire("a")
    assert other.acquire("a") is None
    assert cache.acquire("a") is None
    assert other.acquire("b") is not None
    end()
    until(lambda: (lease := other.acquire("a")) and lease)


def test_a_lease_ends_only_when_the_value_is_stored(cache, connect, server):
    """Otherwise another process would find neither of them, and compute the value again."""
    other, go = connect(server.url), threading.Event()
    end = cache.acquire("a")
    cache.put("a", lambda: b"value" if go.wait(10) else b"")
    end()
    assert other.acquire("a") is None
    go.set()
    until(lambda: other.acquire("a"))
    assert other.get("a") == b"value"


def test_a_lease_is_renewed_while_its_process_lives(cache, connect, server, monkeypatch):
    monkeypatch.setattr(redis_cache, "_LEASE_MS", 300)
    monkeypatch.setattr(redis_cache, "_RENEW_S", 0.05)
    end, other = cache.acquire("a"), connect(server.url)
    until_s = time.monotonic() + 1
    while time.monotonic() < until_s:
        assert other.acquire("a") is None
        time.sleep(0.05)
    end()
    until(lambda: server.client.exists("a:lease") == 0, within_s=0.25)


def test_a_process_that_dies_loses_its_lease(cache, server):
    server.client.set("a:lease", "of a process that died", px=300)
    assert cache.acquire("a") is None
    until(lambda: cache.acquire("a"), within_s=2)


def test_a_lease_lasts_three_seconds_without_renewal(cache, server):
    cache.acquire("a")
    assert 2000 < server.client.pttl("a:lease") <= 3000


def test_a_lease_tells_how_long_it_lasts(cache, connect, server):
    assert cache.lease_left_ms("a") <= 0
    connect(server.url).acquire("a")
    assert 2000 < cache.lease_left_ms("a") <= 3000
    server.client.set("b:lease", "somebody's")
    assert cache.lease_left_ms("b") <= 0


def test_a_lease_that_another_process_took_over_is_not_ended(cache, server):
    end = cache.acquire("a")
    server.client.set("a:lease", "another", px=60_000)
    end()
    stored(cache, "later", b"value")  # behind the end of the lease
    assert server.client.get("a:lease") == b"another"
    assert server.client.pttl("a:lease") > 50_000


@pytest.mark.parametrize("fault", ["slow", "close", "trickle", "garbage"])
def test_a_fault_costs_one_short_delay_and_then_nothing(proxy, connect, fault, caplog):
    cache = connect(proxy.url)
    stored(cache, "a")
    proxy.fault = fault
    first_s, found = timed(lambda: cache.get("a"))
    assert found is None
    assert first_s < DELAY_S + MARGIN_S
    then_s = 0.0
    for _ in range(20):
        waited_s, end = timed(lambda: cache.get("a") or cache.acquire("a"))
        cache.put("a", lambda: VALUE)
        end()
        then_s += waited_s
    assert then_s < DELAY_S / 2
    assert not cache.answers()
    assert cache.errors() == 1
    (warning,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith("The shared cache does not answer: ")


def test_it_is_asked_again_in_the_background_and_used_when_it_answers(
    proxy, connect, monkeypatch, caplog
):
    monkeypatch.setattr(redis_cache, "_PROBE_S", 0.3)
    caplog.set_level(logging.INFO)
    cache = connect(proxy.url)
    stored(cache, "a")
    proxy.fault = "slow"
    assert cache.get("a") is None
    until_s = time.monotonic() + 3
    while time.monotonic() < until_s:
        waited_s, found = timed(lambda: cache.get("a"))
        assert found is None
        assert waited_s < DELAY_S / 2
        time.sleep(0.02)
    assert cache.errors() > 1  # the probes
    proxy.fault = None
    until(lambda: cache.get("a") == VALUE)
    assert cache.answers()
    assert caplog.messages.count("The shared cache answers again.") == 1


def test_a_server_that_is_not_there_is_found_out_before_a_user_comes(connect, server):
    with running_redis() as other:
        url = other.url
    cache = connect(url)
    until(lambda: not cache.answers())
    waited_s, found = timed(lambda: cache.get("a"))
    assert found is None
    assert waited_s < DELAY_S / 2


def test_a_server_that_restarts_is_used_again(connect, monkeypatch):
    monkeypatch.setattr(redis_cache, "_PROBE_S", 0.2)
    with running_redis() as server:
        cache = connect(server.url)
        stored(cache, "a")
        server.stop()
        assert cache.get("a") is None
        server.start()
        until(cache.answers)
        stored(cache, "a")


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_full_server_is_no_error_for_users(cache, server, policy, caplog):
    server.client.config_set("maxmemory-policy", policy)
    server.client.config_set("maxmemory", "16mb" if policy == "allkeys-lru" else "1mb")
    for number in range(8):
        end = cache.acquire(f"{number}")
        assert end is not None
        cache.put(f"{number}", lambda: VALUE)
        end()
    until(lambda: cache._background._work_queue.empty())
    waited_s, _ = timed(lambda: cache.get("0"))
    assert waited_s < DELAY_S
    assert cache.answers()
    if policy == "noeviction":
        assert cache.errors() >= 8
        warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
        assert warnings == [
            "The shared cache refuses commands: OutOfMemoryError. Photos are encoded without it."
        ]
    else:
        until(lambda: cache.get("7") == VALUE)
        assert cache.get("0") is None  # it gave way
        assert cache.errors() == 0


def test_an_address_without_options_can_be_used(connect):
    for url in ("redis://localhost", "rediss://user:pass%3F@[::1]:6379/3", "unix:///run/no.sock"):
        assert connect(url)._client.connection_pool.connection_kwargs["socket_timeout"] == DELAY_S


def test_a_huge_value_is_not_read(cache, server):
    server.client.setrange("a", 40_000_000, b"x")
    before = server.client.info("stats")["total_net_output_bytes"]
    assert len(cache.get("a")) == redis_cache._MAX_BYTES
    assert server.client.info("stats")["total_net_output_bytes"] - before < 5_000_000


class DrippingServer(TcpServer):
    """Grants every lease and answers everything, but its replies to SET of a value never end."""

    def __init__(self):
        self.renewals = self.open = 0
        super().__init__()

    def _serve(self, client):
        with suppress(OSError), client, client.makefile("rb") as file:
            while line := file.readline():
                words = [self._word(file) for _ in range(int(line[1:]))]
                self._reply(client, words)

    @staticmethod
    def _word(file):
        return file.read(int(file.readline()[1:]) + 2)[:-2]

    def _reply(self, client, words):
        if words[0] == b"EVAL":
            self.renewals += words[-1] != b"0"
            client.sendall(b":1\r\n")
        elif words[0] == b"SET" and b"NX" not in words:
            self._drip(client)
        else:
            client.sendall(b"+PONG\r\n" if words == [b"PING"] else b"+OK\r\n")

    def _drip(self, client):
        self.open += 1
        try:
            client.sendall(b"+")
            while True:
                client.sendall(b"O")
                time.sleep(0.02)
        finally:
            self.open -= 1


@pytest.fixture
def dripping():
    server = DrippingServer()
    yield server
    server.close()


def test_a_reply_that_never_ends_holds_no_thread_and_renews_no_lease(
    dripping, connect, monkeypatch
):
    monkeypatch.setattr(redis_cache, "_LATER_S", 0.2)
    monkeypatch.setattr(redis_cache, "_RENEW_S", 0.1)
    monkeypatch.setattr(redis_cache, "_PROBE_S", 0.1)
    cache = connect(dripping.url)
    for number in range(20):
        end = cache.acquire(f"{number}")
        cache.put(f"{number}", lambda: b"value")
        end()
    until(lambda: cache._background._work_queue.empty())
    until(lambda: dripping.open == 0)
    assert cache.errors() > 0
    renewals = dripping.renewals
    until(cache.answers)  # a probe did not wait behind them
    time.sleep(0.5)
    assert dripping.renewals == renewals


def test_a_lease_that_is_never_ended_is_not_renewed_for_ever(cache, server, monkeypatch):
    assert redis_cache._RENEWALS_S == 60
    monkeypatch.setattr(redis_cache, "_LEASE_MS", 300)
    monkeypatch.setattr(redis_cache, "_RENEW_S", 0.05)
    monkeypatch.setattr(redis_cache, "_RENEWALS_S", 0.5)
    cache.acquire("a")
    until(lambda: server.client.exists("a:lease") == 0, within_s=3)


def test_threads_that_meet_a_dead_server_wait_at_the_same_time(proxy, connect):
    cache = connect(proxy.url)
    stored(cache, "a")
    proxy.fault = "slow"
    with ThreadPoolExecutor(12) as pool:
        waits = list(pool.map(lambda _: timed(lambda: cache.get("a"))[0], range(12)))
    assert max(waits) < DELAY_S + MARGIN_S


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://user:secret@localhost",
        "redis://:secret@localhost:port",
        "redis://:secret@localhost:99999",
        "redis://:secret@localhost?unknown=1",
        "redis://:secret@[::1",
        "redis://:secret@localhost/secret",
        "redis://:secret@localhost/0#1",
        "unix://",
        "nonsense",
        *(
            f"rediss://:secret@localhost/0?{option}"
            for option in (
                "ssl_cert_reqs=bogus",
                "protocol=9",
                "credential_provider=x",
                "socket_timeout=99",
                "decode_responses=True",
                "retry=5",
                "max_connections=1",
                "db=1",
            )
        ),
    ],
)
def test_an_address_that_cannot_be_used_gets_a_sentence_without_the_password(url):
    with pytest.raises(MobileSamError, match="MOBILESAM_CACHE_URL must be an address") as caught:
        RedisCache(url)
    assert "secret" not in str(caught.value)
