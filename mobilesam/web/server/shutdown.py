"""Stops the server when the process is told to: what is under way is finished or refused."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from mobilesam.model.download import discard_partial_downloads

if TYPE_CHECKING:
    import gradio as gr

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FINISH_S = 4
"""How long requests under way may take; Gradio waits for its server a second longer."""


@contextmanager
def stopped_by_signals(files: Path) -> Iterator[Callable[[gr.Blocks], None]]:
    """Inside, Ctrl-C and SIGTERM end the process with status 0, within seconds and without a trace.

    The handler does all of it, instead of raising something: what it interrupts may be an import or
    a clean-up that would swallow an exception.

    Args:
        files: the visitors' files, which go then.

    Yields:
        To be called with what is served, as soon as it is.
    """
    served: list[gr.Blocks] = []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # once is enough
        logging.getLogger(__name__).info("Stopping.")
        for demo in served:
            _close(demo)
        shutil.rmtree(files, ignore_errors=True)
        discard_partial_downloads()
        # Threads may still be computing; they must not see the interpreter being taken apart.
        os._exit(0)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield served.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(demo: gr.Blocks) -> None:
    """Takes no more requests, and lets those under way end before it cuts them off."""
    if not demo.server:
        return
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a traceback for each cut off
    demo.server.config.timeout_graceful_shutdown = _FINISH_S
    demo.app.stop_event.set()  # ends the streams that open pages hold
    demo.server.close()  # type: ignore[no-untyped-call]
