"""One line in the log for each request: its name, its outcome and how long it took.

Nothing that a user sends appears in the log: no prompts, tokens or file names. Of an unexpected
error and of the messages of other packages, which may quote any of these, it has only the place.
"""

import errno
import logging
import secrets
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from mobilesam.errors import MobileSamError

logger = logging.getLogger(__name__)

queued_at: ContextVar[float] = ContextVar("queued_at")
"""When the current request was queued, in seconds of `time.perf_counter`; set by the queues."""


class LoggedRequest(NamedTuple):
    """A request that has been handled; the attribute `request` of its record in the log."""

    name: str
    outcome: str
    wait_s: float
    work_s: float


def configure_logging() -> None:
    """Logs to standard error, without content."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=line)
    logging.getLogger("mobilesam").setLevel(logging.INFO)
    # uvicorn's logger has handlers of its own.
    for target in (*logging.getLogger().handlers, logging.getLogger("uvicorn.error")):
        target.addFilter(hide_content)


def hide_content(record: logging.LogRecord) -> bool:
    """Filter of what may quote a client: messages of exceptions and those of other packages."""
    if not record.name.startswith(("mobilesam.", "uvicorn.")):
        record.msg, record.args = f"Message from {record.pathname}:{record.lineno}", None
    if record.exc_info and record.exc_info[1]:
        record.exc_text, record.exc_info = _describe(record.exc_info[1]), None
    return True


@contextmanager
def logged_request(name: str, reassurance: str = "") -> Iterator[None]:
    """Logs the request that the `with` block handles.

    Raises:
        MobileSamError: in place of any unexpected error, with an id that users can report.
    """
    request_id = secrets.token_hex(4)
    started_at = time.perf_counter()
    wait_s = started_at - queued_at.get(started_at)
    outcome = "ok"
    try:
        yield
    except MobileSamError as error:
        outcome = type(error).__name__
        raise
    except Exception as error:
        outcome = "failed"
        logger.error("id=%s %s", request_id, _describe(error))
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "The server's disk is full" if is_full else "Something went wrong on the server"
        help_text = f"{reassurance}Try again, or report the number {request_id}."
        raise MobileSamError(f"{what}. {help_text}") from error
    finally:
        request = LoggedRequest(name, outcome, wait_s, time.perf_counter() - started_at)
        line = "id=%s what=%s outcome=%s wait_ms=%.0f work_ms=%.0f"
        milliseconds = 1000 * request.wait_s, 1000 * request.work_s
        logger.info(line, request_id, name, outcome, *milliseconds, extra={"request": request})


def log_failure(what: str, error: Exception) -> None:
    """Logs the type of an unexpected error and its place, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    name, place = type(error).__name__, f"{frame.filename}:{frame.lineno}"
    logger.warning("%s failed: %s at %s", what, name, place)


def _describe(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"error={type(error).__name__}\n{frames.rstrip()}"
