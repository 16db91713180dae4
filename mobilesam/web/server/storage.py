"""Uploads and exports: one folder per process, swept while it runs and removed at the end.

Gradio's default folder is shared by all its applications on a machine, each of which serves the
files in it, and its own removal stops for good if an upload arrives during a sweep.
"""

import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobilesam.errors import PromptError
from mobilesam.settings import MEGA
from mobilesam.web.server.replies import ExpiredError

MAX_AGE_S = 15 * 60
MAX_BYTES = 4000 * MEGA  # of all files together
_SWEEP_INTERVAL_S = 15
_FOLDER_BYTES = 4096
_PREFIX = "mobilesam-files-"
_VARIABLE = "GRADIO_TEMP_DIR"


@contextmanager
def temporary_storage() -> Iterator[Path]:
    """Creates a private folder, and has Gradio store uploads there until the block ends.

    Those of other processes are swept too, because one that was killed cannot do it.
    Enter it before gradio is imported: some of its modules read the variable only then.
    """
    parent = os.environ.get(_VARIABLE, "")
    Path(parent).mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def keep_sweeping() -> None:
        while not stop.wait(_SWEEP_INTERVAL_S):
            for one in _folders_like(Path(folder)):
                sweep(one)

    with tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=parent or None, ignore_cleanup_errors=True
    ) as folder:
        os.environ[_VARIABLE] = folder
        threading.Thread(target=keep_sweeping, daemon=True).start()
        try:
            yield Path(folder)
        finally:
            stop.set()
            os.environ[_VARIABLE] = parent  # empty counts as unset


def _folders_like(folder: Path) -> Iterator[Path]:
    """The folders of all processes of this user; not links, which anybody can create in /tmp."""
    for one in folder.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # removed in the meantime
            own, status = folder.lstat(), one.lstat()
            if (status.st_uid, status.st_mode) == (own.st_uid, own.st_mode):
                yield one


def sweep(folder: Path, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES) -> None:
    """Removes old files, then the oldest ones until the rest fits.

    Folders that have been empty for as long are removed too. The page uploads again what it needs.
    """
    oldest = time.time() - max_age_s
    found = []
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(parent, name)
            with suppress(OSError):  # removed in the meantime
                status = file.lstat()
                # Even a file of one byte takes a block, and so does its folder.
                size = max(status.st_size, 512 * getattr(status, "st_blocks", 0)) + _FOLDER_BYTES
                found.append((status.st_mtime, size, file))
        with suppress(OSError):  # not empty
            if Path(parent) != folder and Path(parent).stat().st_mtime < oldest:
                Path(parent).rmdir()
    total_bytes = 0
    for modified, size, file in sorted(found, reverse=True):
        total_bytes += size
        if modified < oldest or total_bytes > max_bytes:
            with suppress(OSError):
                file.unlink()


def upload_folder() -> Path:
    """The folder in which Gradio stores uploads."""
    from gradio.utils import get_upload_folder

    return Path(get_upload_folder()).resolve()


def checked_upload(path: object) -> Path:
    """The resolved path of an upload; ExpiredError if it is no file in the upload folder.

    Gradio does not check paths in JSON that it does not recognize as a file.
    """
    with suppress(OSError, ValueError, TypeError):
        resolved = Path(path).resolve()  # type: ignore[arg-type]
        if resolved.is_relative_to(upload_folder()) and resolved.is_file():
            return resolved
    raise ExpiredError("The server does not have the photo. Upload it and try again.")


def check_size(file: Path, max_bytes: int) -> None:
    """Raises PromptError if a file in the upload folder is too large for an upload.

    Finished data sets are in the same folder, and can be far larger.
    """
    if file.stat().st_size > max_bytes:
        raise PromptError(
            f"A file can have at most {max_bytes / MEGA:g} MB. Use a smaller one, or split it."
        )


def new_file(parent: Path, name: str, data: bytes) -> Path:
    """Stores a file in a new and unguessable folder, so that files of one name do not collide.

    ExpiredError if the parent is gone: that of a photo goes when its tab is closed.
    """
    folder = parent / secrets.token_hex(24)
    try:
        folder.mkdir()
    except FileNotFoundError:
        raise ExpiredError("The server no longer has this photo. Open it again.") from None
    try:
        (folder / name).write_bytes(data)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder / name
