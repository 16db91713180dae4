"""One line in the log for each request: its name, its outcome and how long it took.

Nothing that a user sends appears in the log: no prompts, tokens or file names. Of an unexpected
error it has the type and the traceback, but not the message, which may quote any of these.
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

queued_at: ContextVar[float] = ContextVar("queued_at")
"""When the current request was queued, in seconds of `time.perf_counter`; set by the queues."""


def configure_logging() -> None:
    """Logs to standard error, without the messages of unexpected errors."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=line)
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # uvicorn's logger has handlers of its own.
    for target in (*logging.getLogger().handlers, logging.getLogger("uvicorn.error")):
        target.addFilter(MessageFilter())


class MessageFilter(logging.Filter):
    """Replaces the exception of a log record by its type and traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps every record."""
        if record.exc_info and record.exc_info[1]:
            record.exc_text, record.exc_info = describe_error(record.exc_info[1]), None
        return True


def describe_error(error: BaseException) -> str:
    """The type and the traceback of an error, without its message."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"error={type(error).__name__}\n{frames.rstrip()}"


class RequestLog:
    """The log line of one request, for the function of that name; users can report its `id`."""

    def __init__(self, name: str) -> None:
        self.id = secrets.token_hex(4)
        self._name = name
        self._started = time.perf_counter()
        self._queued_s = self._started - queued_at.get(self._started)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Writes the line when the body of the `with` statement ends; errors are raised on."""
        outcome = "ok"
        try:
            yield
        except MobileSamError as error:
            outcome = type(error).__name__
            raise
        except Exception as error:
            outcome = "failed"
            logger.error("id=%s %s", self.id, describe_error(error))
            raise
        finally:
            wait_ms, work_ms = 1000 * self._queued_s, 1000 * (time.perf_counter() - self._started)
            line = "id=%s what=%s outcome=%s wait_ms=%.0f work_ms=%.0f"
            logger.info(line, self.id, self._name, outcome, wait_ms, work_ms)
