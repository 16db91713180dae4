"""Writes files completely or not at all, and turns errors of the disk into sentences."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mobilesam.errors import MobileSamError


@contextmanager
def reporting_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a MobileSamError that names the file."""
    try:
        yield
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror or error}."
        if error.errno == errno.ENOSPC:
            reason += " Free some space, then run the same command again."
        raise MobileSamError(reason) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a temporary file beside `path`, then renames it; MobileSamError if that fails."""
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path`, which is renamed to it when the `with` block succeeds.

    An OSError in the block becomes a MobileSamError, as in `reporting_errors`.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with reporting_errors(path):
            with temporary.open("xb+") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
