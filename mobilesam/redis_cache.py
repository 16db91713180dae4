"""A shared cache in Redis or Valkey, with the optional package redis.

A server that is slow or gone delays one request by `_TIMEOUT_S`. From then on nobody waits for it;
every `_PROBE_S` it is asked in the background whether it answers again. No reply is trusted: it
may have any size, arrive in parts without end, or come from another program.
"""

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mobilesam.errors import MobileSamError

logger = logging.getLogger(__name__)

_TIMEOUT_S = 0.25  # of a command, and of every step of it
_LATER_S = 2.0  # of a command for which nobody waits
_PROBE_S = 5.0
_LEASE_MS = 3000
_RENEW_S = 1.0
_RENEWALS_S = 60.0  # of one lease, in all
_VALUE_S = 24 * 3600
_MAX_BYTES = 4_000_000  # of a value that is read; an embedding has two megabytes
_MAX_WRITES = 16  # that wait, of two megabytes each; any more are dropped
_WARN_EVERY_S = 60.0
_NO_REPLY = object()

_SET_TIME_LEFT = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0
"""
"""Sets the milliseconds that a lease has left; 0 deletes it. Leases of other owners stay."""


class RedisCache:
    """A `mobilesam.cache.SharedCache`; the server bounds its size, see docs/hosting.md."""

    def __init__(self, url: str) -> None:
        """Connects in the background to redis://, rediss:// or unix://.

        Raises:
            MobileSamError: the URL cannot be used.
        """
        try:
            self._client = redis.Redis.from_url(
                _checked_url(url),
                protocol=2,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
            self._client.connection_pool.make_connection()  # checks the URL's parameters
        except (ValueError, TypeError, redis.RedisError) as error:  # which may tell the password
            raise MobileSamError(
                "MOBILESAM_CACHE_URL must be an address like redis://localhost:6379/0, "
                "rediss://user:password@host:6379/0 or unix:///run/redis.sock, without options."
            ) from error
        # Sockets have no time limit for the lookup of a name, nor for a reply in many small parts.
        self._commands = ThreadPoolExecutor(4, thread_name_prefix="redis")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="redis-write")
        self._writes = threading.BoundedSemaphore(_MAX_WRITES)
        self._lock = threading.Lock()
        self._errors = 0
        self._answers = True
        self._probe_at = self._warn_at = 0.0
        self._probe_if_due()

    def get(self, key: str) -> bytes | None:
        """See `SharedCache`; a value that is too long is cut off, and so a damaged one."""
        value = self._ask(lambda: self._client.getrange(key, 0, _MAX_BYTES - 1))
        return value if isinstance(value, bytes) and value else None

    def put(self, key: str, make_value: Callable[[], bytes]) -> None:
        """See `SharedCache`; the value is dropped if too many wait to be stored."""
        if self._answers and self._writes.acquire(blocking=False):
            self._background.submit(self._store, key, make_value)

    def acquire(self, key: str) -> Callable[[], None] | None:
        """See `SharedCache`."""
        lease, owner = f"{key}:lease", secrets.token_hex(16)
        set_lease = partial(self._client.set, lease, owner, nx=True, px=_LEASE_MS)
        reply = self._ask(set_lease, no_reply=_NO_REPLY)
        if reply is _NO_REPLY:
            return lambda: None
        if not reply:
            return None
        set_time_left = partial(self._client.eval, _SET_TIME_LEFT, 1, lease, owner)
        ended = threading.Event()
        threading.Thread(target=self._renew, args=(set_time_left, ended), daemon=True).start()

        def end_later() -> None:
            ended.set()
            self._background.submit(self._ask, partial(set_time_left, 0))

        return end_later

    def lease_left_ms(self, key: str) -> int:
        """See `SharedCache`."""
        left_ms = self._ask(lambda: self._client.pttl(f"{key}:lease"))
        return left_ms if isinstance(left_ms, int) else 0

    def errors(self) -> int:
        """See `SharedCache`."""
        return self._errors

    def answers(self) -> bool:
        """See `SharedCache`."""
        self._probe_if_due()
        return self._answers

    def _ask(self, command: Callable[[], Any], no_reply: object = None) -> Any:
        """The reply, for which a user waits; `no_reply` if it is an error or does not come."""
        self._probe_if_due()
        if not self._answers:
            return no_reply
        return self._attempt(lambda: self._timed(command), no_reply)

    def _later(self, command: Callable[[], Any]) -> Any:
        """The reply to a command for which nobody waits; None if it fails."""
        return self._attempt(lambda: self._timed(command, _LATER_S))

    def _attempt(self, command: Callable[[], Any], no_reply: object = None) -> Any:
        """The reply to a command; `no_reply` if it fails."""
        try:
            return command()
        except Exception as error:
            self._note(error)
            return no_reply

    def _timed(self, command: Callable[[], Any], timeout_s: float | None = None) -> Any:
        """The reply to a command in another thread; TimeoutError if it comes too late."""
        reply = self._commands.submit(command)
        try:
            return reply.result(timeout_s or _TIMEOUT_S)
        except TimeoutError:
            reply.cancel()
            self._client.connection_pool.disconnect()  # which ends the threads that wait for it
            raise

    def _store(self, key: str, make_value: Callable[[], bytes]) -> None:
        try:
            if self._answers and (value := self._attempt(make_value)):
                self._later(partial(self._client.set, key, value, ex=_VALUE_S))
        finally:
            self._writes.release()

    def _renew(self, set_time_left: Callable[[int], object], ended: threading.Event) -> None:
        """Until the lease has ended, is lost or has been renewed for long."""
        end_at = time.monotonic() + _RENEWALS_S
        while not ended.wait(_RENEW_S) and time.monotonic() < end_at:
            if not self._later(partial(set_time_left, _LEASE_MS)):
                break

    def _probe_if_due(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._probe_at:
                return
            self._probe_at = now + _PROBE_S
        threading.Thread(target=self._probe, daemon=True).start()

    def _probe(self) -> None:
        if self._attempt(lambda: self._timed(self._client.ping)) and not self._answers:
            self._answers = True
            logger.info("The shared cache answers again.")

    def _note(self, error: Exception) -> None:
        """Counts an error; unless it is a reply, such as that the memory is full, nobody waits."""
        is_reply = isinstance(error, redis.ResponseError)
        now = time.monotonic()
        with self._lock:
            self._errors += 1
            self._answers = self._answers and is_reply
            is_news = now >= self._warn_at
            if is_news:
                self._warn_at = now + _WARN_EVERY_S
        if is_news:
            what = "refuses commands" if is_reply else "does not answer"
            logger.warning(
                "The shared cache %s: %s. Photos are encoded without it.",
                what,
                type(error).__name__,
            )


def _checked_url(url: str) -> str:
    """The URL; ValueError if it has a query, whose options would replace those of `RedisCache`."""
    parts = urlsplit(url)
    path = r"/.+" if parts.scheme == "unix" else r"(/\d*)?"
    if parts.query or parts.fragment or not re.fullmatch(path, parts.path):
        raise ValueError("The URL has more than an address and the number of a database.")
    return url
