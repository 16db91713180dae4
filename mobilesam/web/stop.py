"""Stops the server when the process is told to: what is under way is finished or refused."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from types import FrameType
from typing import TYPE_CHECKING

from mobilesam.model.download import discard_partial_downloads

if TYPE_CHECKING:
    import gradio as gr

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_FINISH_S = 4
"""How long requests under way may take; Gradio waits for its server a second longer."""


def stop_on_signals(demo: gr.Blocks | None = None) -> None:
    """Has Ctrl-C and SIGTERM end the process with status 0, within seconds and without a trace.

    The handler does all of it, instead of raising something: what it interrupts may be an import or
    a clean-up that would swallow an exception.

    Args:
        demo: what is served by now; None before there is anything to close.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # once is enough
        logging.getLogger(__name__).info("Stopping.")
        if demo:
            _close(demo)
        discard_partial_downloads()
        # Threads may still be computing; they must not see the interpreter being taken apart.
        os._exit(0)

    for number in _SIGNALS:
        signal.signal(number, stop)


def _close(demo: gr.Blocks) -> None:
    """Takes no more requests, and lets those under way end before it cuts them off."""
    from mobilesam.web.uploads import made_files_folder  # imports gradio, as the page has done

    if not demo.server:
        return
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # a traceback for each cut off
    demo.server.config.timeout_graceful_shutdown = _FINISH_S
    demo.app.stop_event.set()  # ends the streams that open pages hold
    demo.server.close()  # type: ignore[no-untyped-call]  # at its end Gradio deletes the uploads
    shutil.rmtree(made_files_folder(), ignore_errors=True)
