"""One line in the log for each request: its name, its outcome and how long it took.

Nothing that a user sends appears in the log: no prompts, tokens or file names. Of an unexpected
error it has the type and the traceback, but not the message, which may quote any of these.
"""

import errno
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
        target.addFilter(hide_error_message)


def hide_error_message(record: logging.LogRecord) -> bool:
    """Filter that replaces the exception of a log record by its type and traceback."""
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
        wait_ms, work_ms = 1000 * wait_s, 1000 * (time.perf_counter() - started_at)
        line = "id=%s what=%s outcome=%s wait_ms=%.0f work_ms=%.0f"
        logger.info(line, request_id, name, outcome, wait_ms, work_ms)


def _describe(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"error={type(error).__name__}\n{frames.rstrip()}"
