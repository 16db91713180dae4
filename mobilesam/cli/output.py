"""Output files: checked before the work starts, and written completely or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mobilesam.cli.messages import UsageError
from mobilesam.errors import MobileSamError


def checked_output(out: Path, suffix: str, photo: Path | None = None) -> Path:
    """Checks an output path before the work starts.

    Args:
        out: the path after --out.
        suffix: the file extension that it must have.
        photo: a file that must not be overwritten.

    Returns:
        The path with symbolic links resolved, so that the target of a link is replaced.

    Raises:
        UsageError: the file cannot be written there.
    """
    if out.suffix.lower() != suffix:
        raise UsageError(f"The output is a {suffix} file. End the name after --out in {suffix}.")
    try:
        path = out.resolve()
        if not path.parent.is_dir():
            raise UsageError(f"The folder {path.parent} does not exist. Create it first.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{out} exists and is not a file. Choose another name after --out.")
        if photo is not None and photo.resolve() == path:
            raise UsageError("--out would overwrite the photo. Choose another name after --out.")
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise UsageError(f"{out} cannot be written: {error}.") from error
    return path


@contextmanager
def reporting_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a MobileSamError that names the file."""
    try:
        yield
    except OSError as error:
        raise MobileSamError(f"{path} cannot be written: {error.strerror or error}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a temporary file beside `path`, then renames it.

    Raises:
        MobileSamError: the file cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with reporting_errors(path):
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
