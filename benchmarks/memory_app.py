"""The real app, which says once a second what it holds, in a line of JSON."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import time
from pathlib import Path

from gradio.utils import get_upload_folder

from mobilesam.web.app import serve_page
from mobilesam.web.page.handlers import PageHandlers

MARK = "held "
_PERIOD_S = 1.0
_MADE_FOLDER_LETTERS = 48
"""In the name of the folder for the files made from a photo; Gradio's own have more."""


def say() -> None:
    """Says it for as long as the process runs."""
    while not (desks := [one for one in gc.get_objects() if isinstance(one, PageHandlers)]):
        time.sleep(_PERIOD_S)
    while True:
        # One write, or the log's lines would come between this one and its end.
        sys.stdout.write(f"{MARK}{json.dumps(held(desks[0]))}\n")
        sys.stdout.flush()
        time.sleep(_PERIOD_S)


def held(handlers: PageHandlers) -> dict[str, float]:
    """Memory, embeddings, open photos and the folders of files made from them."""
    cache = handlers._segmenter.cache_info()
    folders = (path.name for path in Path(get_upload_folder()).iterdir())
    return {
        "rss_mb": resident_mb(Path("/proc/self/status").read_text(encoding="ascii")),
        "cache_mb": cache.bytes / 1e6,
        "cache_bound_mb": handlers._segmenter.settings.cache_bytes / 1e6,
        "open_photos": len(handlers._photos),
        "made_folders": sum(len(name) == _MADE_FOLDER_LETTERS for name in folders),
        "threads": threading.active_count(),
        **heap_mb(),
    }


class _MallInfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def heap_mb() -> dict[str, float]:
    """What of glibc's heap is used, and what is free within it; its pages may be either way."""
    mallinfo2 = ctypes.CDLL("libc.so.6").mallinfo2
    mallinfo2.restype = _MallInfo2
    info = mallinfo2()
    return {"heap_used_mb": info.uordblks / 1e6, "heap_free_mb": info.fordblks / 1e6}


def resident_mb(status: str) -> float:
    """VmRSS in the text of Linux's /proc/<pid>/status, in MB of 10^6 bytes."""
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    threading.Thread(target=say, daemon=True).start()
    serve_page()
