"""Visitors' files: in a folder of this process alone, removed as they age and at the end.

Gradio's own folder is shared by all its applications on a machine, each of which hands out what is
in it; and its own removal ends for good when an upload arrives while it looks through them.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobilesam.settings import MEGA

MAX_AGE_S = 15 * 60
MAX_BYTES = 4000 * MEGA
"""Of all files together."""
_SWEEP_S = 15
_FOLDER_BYTES = 4096
_VARIABLE = "GRADIO_TEMP_DIR"


@contextmanager
def visitor_files() -> Iterator[Path]:
    """A new folder, which this user alone can read, and in which Gradio keeps uploads inside.

    To be entered before gradio is imported, as parts of it look at the variable only then.
    """
    parent = os.environ.get(_VARIABLE)
    if parent:
        Path(parent).mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    with tempfile.TemporaryDirectory(
        prefix="mobilesam-", dir=parent or None, ignore_cleanup_errors=True
    ) as folder:
        os.environ[_VARIABLE] = folder
        threading.Thread(target=_keep_sweeping, args=(Path(folder), stop), daemon=True).start()
        try:
            yield Path(folder)
        finally:
            stop.set()
            if parent is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = parent


def sweep(folder: Path, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES) -> None:
    """Removes the files in a folder that are older, and the oldest of those that are too many.

    A folder goes when it has been empty as long. The page brings back what it still needs.
    """
    oldest = time.time() - max_age_s
    found = []
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(place, name)
            with suppress(OSError):  # gone already
                status = file.lstat()
                found.append((status.st_mtime, _taken_bytes(status), file))
        with suppress(OSError):  # not empty
            if Path(place) != folder and Path(place).stat().st_mtime < oldest:
                Path(place).rmdir()
    held_bytes = 0
    for written, size, file in sorted(found, reverse=True):
        held_bytes += size
        if written < oldest or held_bytes > max_bytes:
            with suppress(OSError):
                file.unlink()


def _taken_bytes(status: os.stat_result) -> int:
    """What a file takes of the disk, be it of a single byte, and the folder round it."""
    return max(status.st_size, 512 * getattr(status, "st_blocks", 0)) + _FOLDER_BYTES


def _keep_sweeping(folder: Path, stop: threading.Event) -> None:
    while not stop.wait(_SWEEP_S):
        sweep(folder)
