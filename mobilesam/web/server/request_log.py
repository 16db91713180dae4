"""One line in the log for each request: what was asked, how it ended, how long it took.

Nothing that a visitor sends is in it: no prompts, no tokens, no names of files, and of an
unexpected error its kind and where it arose but not its message, which may hold any of these. That
goes for what Gradio and its web server tell of errors too.
"""

from __future__ import annotations

import logging
import secrets
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mobilesam.errors import MobileSamError

logger = logging.getLogger(__name__)


def configure_logging() -> None:
    """Has this process log to standard error, without the messages of unexpected errors."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server = logging.getLogger("uvicorn.error")  # it has handlers of its own
    for place in (*logging.getLogger().handlers, server):
        place.addFilter(_WithoutMessages())
    traceback.print_exc = _log_current_error  # type: ignore[assignment]  # how Gradio tells


class _WithoutMessages(logging.Filter):
    """Lets every record pass, its error told as it may be."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            record.exc_text, record.exc_info = _told(record.exc_info[1]), None
        return True


def _log_current_error(*_: object) -> None:
    error = sys.exc_info()[1]
    if error:
        logging.getLogger("gradio").error("%s", _told(error))


def _told(error: BaseException) -> str:
    """The kind of an error, and where it arose."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"error={type(error).__name__}\n{frames.rstrip()}"


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
        now = time.perf_counter()
        self._asked_at = _asked_at.get(now)
        self._waited_s = now - self._asked_at

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Writes the line when what is done inside has ended, and lets errors pass."""
        outcome = "ok"
        previous = _current.set(self)
        try:
            yield
        except MobileSamError as error:
            outcome = type(error).__name__
            raise
        except Exception as error:
            outcome = "failed"
            logger.error("id=%s %s", self.id, _told(error))
            raise
        finally:
            _current.reset(previous)
            work_s = time.perf_counter() - self._asked_at - self._waited_s
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
_asked_at: ContextVar[float] = ContextVar("asked_at")


@contextmanager
def asked_now() -> Iterator[None]:
    """What begins inside, in whichever thread, has waited from here on."""
    before = _asked_at.set(time.perf_counter())
    try:
        yield
    finally:
        _asked_at.reset(before)


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
