"""A journal of finished work on disk: after a crash, only the unfinished photo is repeated."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from mobilesam.atomic_file import reporting_errors
from mobilesam.errors import MobileSamError


class Journal:
    """JSON lines {"key": ..., "record": ...}, each flushed to disk when it is appended.

    Attributes:
        records: by key. A key identifies everything that its record depends on, so records of
            other prompts or other weights do no harm.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file and locks it; MobileSamError if that fails."""
        self.records: dict[str, Any] = {}
        self._path = path
        with reporting_errors(path):
            self._file = path.open("a+b")
        if not _lock(self._file):
            self._file.close()
            raise MobileSamError(f"Another process is writing {path}. Wait until it has finished.")
        self._file.seek(0)
        complete = 0
        for line in self._file:
            if not line.endswith(b"\n"):  # cut off by a crash
                break
            complete += len(line)
            with suppress(ValueError, TypeError, KeyError):  # damaged; its photo is repeated
                item = json.loads(line)
                self.records[item["key"]] = item["record"]
        self._file.truncate(complete)  # or the next record would be appended to the cut-off line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # closing flushes again what a full disk refused
            self._file.close()

    def append(self, key: str, record: Any) -> None:
        """Appends a record and waits until it is on disk; MobileSamError if that fails."""
        line = json.dumps({"key": key, "record": record}).encode("ascii") + b"\n"
        with reporting_errors(self._path):
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        self.records[key] = record

    def remove(self) -> None:
        """Deletes the file; MobileSamError if that fails."""
        if sys.platform == "win32":  # an open file cannot be deleted there
            self._file.close()
        with reporting_errors(self._path):
            self._path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Locks the file until it is closed; False if another process has locked it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows, or a file system without locks
        return True
    return True
