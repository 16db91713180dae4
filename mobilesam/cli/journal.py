"""A journal of finished work on disk: after a crash, only the unfinished photo is repeated."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from mobilesam.cli.output import reporting_errors
from mobilesam.errors import MobileSamError


class Journal:
    """JSON lines {"key": ..., "record": ...}, each flushed to disk when it is appended.

    A key identifies everything that its record depends on, so records of other prompts or other
    weights do no harm. Only one process at a time can open a journal.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and reads its complete lines.

        Raises:
            MobileSamError: the file cannot be opened, or another process has opened it.
        """
        self._path = path
        self._records: dict[str, Any] = {}
        with reporting_errors(path):
            self._file: BinaryIO = path.open("a+b")
        if not _lock(self._file):
            self._file.close()
            raise MobileSamError(f"Another process is writing {path}. Wait until it has finished.")
        self._read()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # closing flushes again what a full disk refused
            self._file.close()

    def get(self, key: str) -> Any | None:
        """The record of a key, or None."""
        return self._records.get(key)

    def append(self, key: str, record: Any) -> None:
        """Appends a record and waits until it is on disk; MobileSamError if that fails."""
        line = json.dumps({"key": key, "record": record}).encode("ascii") + b"\n"
        with reporting_errors(self._path):
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._records[key] = record

    def remove(self) -> None:
        """Deletes the file; MobileSamError if that fails."""
        if sys.platform == "win32":  # an open file cannot be deleted there
            self._file.close()
        with reporting_errors(self._path):
            self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        self._file.seek(0)
        complete = 0
        for line in self._file:
            if not line.endswith(b"\n"):  # cut off by a crash
                break
            complete += len(line)
            try:
                item = json.loads(line)
                self._records[item["key"]] = item["record"]
            except (ValueError, TypeError, KeyError):  # damaged; its photo is repeated
                continue
        self._file.truncate(complete)  # or the next record would be appended to the cut-off line


def _lock(file: BinaryIO) -> bool:
    """Locks the file until it is closed; False if another process has locked it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True
