"""The finished photos of a batch on disk: a kill at any moment costs the photo at work, no more."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mobilesam.errors import MobileSamError


class PartFile:
    """JSON lines {"key": ..., "record": ...}, each on disk before the next photo begins.

    A record is found again by its key alone, which stands for all that the record depends on; so a
    file of other prompts or other weights does no harm. One process at a time may have it open.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it, and reads what is complete in it.

        Raises:
            MobileSamError: it cannot be opened, or another run has it.
        """
        self._path = path
        self._records: dict[str, Any] = {}
        try:
            self._file: BinaryIO = path.open("a+b")
        except OSError as error:
            raise self._failure(error) from error
        if not _lock(self._file):
            self._file.close()
            raise MobileSamError(f"Another run is writing {path}; wait for its end.")
        self._read()

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a line that a full disk did not take, tried again
            self._file.close()

    def get(self, key: str) -> Any | None:
        """The record, if it is there."""
        return self._records.get(key)

    def append(self, key: str, record: Any) -> None:
        """Keeps a record; when this returns, it is on disk.

        Raises:
            MobileSamError: it cannot be written.
        """
        line = json.dumps({"key": key, "record": record}).encode("ascii") + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failure(error) from error
        self._records[key] = record

    def remove(self) -> None:
        """Deletes the file.

        Raises:
            MobileSamError: it cannot be deleted.
        """
        if sys.platform == "win32":  # which deletes no open file
            self._file.close()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(error) from error

    def _read(self) -> None:
        self._file.seek(0)
        complete = 0
        for line in self._file:
            if not line.endswith(b"\n"):  # torn by a kill
                break
            complete += len(line)
            try:
                item = json.loads(line)
                self._records[item["key"]] = item["record"]
            except (ValueError, TypeError, KeyError):  # not ours; its photo is done again
                continue
        self._file.truncate(complete)  # or the next record would be glued to the torn one

    def _failure(self, error: OSError) -> MobileSamError:
        return MobileSamError(f"{self._path} cannot be used: {error.strerror or error}.")


def _lock(file: BinaryIO) -> bool:
    """Takes the file for this process, until it is closed; whether it was free."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True
