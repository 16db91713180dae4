"""One line in the log for each request: what was asked, how it ended, how long it took.

Nothing that a visitor sends is in it: no prompts, no tokens, no names of files, and of an
unexpected error its kind and where it arose but not its message, which may hold any of these.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mobilesam.errors import MobileSamError

logger = logging.getLogger(__name__)


class Request:
    """What the log says of one request.

    Attributes:
        id: by which a visitor can report it.
    """

    def __init__(self, what: str) -> None:
        """Begins with nothing done.

        Args:
            what: the function that answers it.
        """
        self.id = secrets.token_hex(4)
        self._what = what
        self._waited_s = 0.0

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Writes the line when what is done inside has ended, and lets errors pass."""
        outcome = "ok"
        previous = _current.set(self)
        started = time.perf_counter()
        try:
            yield
        except MobileSamError as error:
            outcome = type(error).__name__
            raise
        except Exception as error:
            outcome = "failed"
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("id=%s error=%s\n%s", self.id, type(error).__name__, frames.rstrip())
            raise
        finally:
            _current.reset(previous)
            work_s = time.perf_counter() - started - self._waited_s
            logger.info(
                "id=%s what=%s outcome=%s wait_ms=%.0f work_ms=%.0f",
                self.id,
                self._what,
                outcome,
                1000 * self._waited_s,
                1000 * work_s,
            )

    def add_wait(self, seconds: float) -> None:
        """Counts a time as waiting, not as work."""
        self._waited_s += seconds


_current: ContextVar[Request | None] = ContextVar("request", default=None)


@contextmanager
def waiting() -> Iterator[None]:
    """What is done inside counts as waiting for the request that this thread answers."""
    started = time.perf_counter()
    try:
        yield
    finally:
        request = _current.get()
        if request:
            request.add_wait(time.perf_counter() - started)
