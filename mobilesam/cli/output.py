"""Files that are either complete or not there."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from mobilesam.cli.terminal import UsageError
from mobilesam.errors import MobileSamError


def checked_output(out: Path, suffix: str, photo: Path | None = None) -> Path:
    """Where a file will be written, checked before any work is done for it.

    Args:
        out: what the user named.
        suffix: what its name has to end in.
        photo: a file that must not be written over.

    Returns:
        The path with links followed, so that a link is kept and the file behind it replaced.

    Raises:
        UsageError: the name has another ending, is a folder's or the photo's, or its folder is
            missing.
    """
    if out.suffix.lower() != suffix:
        raise UsageError(
            f"What is written is a {suffix} file; let the name after --out end in {suffix}."
        )
    try:
        path = out.resolve()
        if not path.parent.is_dir():
            raise UsageError(f"The folder {path.parent} does not exist; make it first.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{out} is there and is not a file; name another after --out.")
        if photo is not None and photo.resolve() == path:
            raise UsageError("The photo would be overwritten; name another file after --out.")
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the name
        raise UsageError(f"{out} cannot be written: {error}.") from error
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file beside the path, then gives it its name: nobody ever sees half of it.

    Raises:
        MobileSamError: the disk is full, or the folder may not be written to.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise MobileSamError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON document as `write_atomically` does."""
    write_atomically(path, json.dumps(document).encode("ascii") + b"\n")
