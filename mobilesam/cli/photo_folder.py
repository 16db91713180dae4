"""Where `batch` reads photos: a folder of this machine, or of an object store by fsspec."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mobilesam.cli.output import UsageError
from mobilesam.errors import ImageError
from mobilesam.image_file import OUTSIDE_FOLDER, photo_path

_VERSION_FIELDS = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "created")
"""What changes with a file, as the common object stores call it in fsspec's `info`."""


class PhotoFolder(Protocol):
    """A folder of photos; file names are relative to it and not trusted. It can be pickled.

    Attributes:
        lookups_at_once: how many files are worth looking up at the same time.
    """

    lookups_at_once: int

    def contains(self, file: str) -> bool:
        """Whether there is such a file."""

    def version(self, file: str) -> list[Any]:
        """What changes when the file does; empty if it cannot be looked up."""

    def local_path(self, file: str, max_bytes: int) -> AbstractContextManager[Path]:
        """Where the photo can be read within the `with` block, at least its first `max_bytes` + 1.

        Raises:
            ImageError: the file is outside the folder, or cannot be copied to this machine.
        """


def photo_folder(address: str) -> PhotoFolder:
    """The folder with a path, or with an address of fsspec such as `s3://bucket/photos`.

    Raises:
        UsageError: there is no such folder, or fsspec cannot read such addresses here.
    """
    if "://" in address and not address.startswith("file://"):
        return RemoteFolder(address)
    path = Path(address.removeprefix("file://"))
    if not path.is_dir():
        raise UsageError(f"The folder {path} does not exist.")
    return LocalFolder(path)


class LocalFolder:
    """A folder that this machine has, or mounts."""

    lookups_at_once = 1

    def __init__(self, path: Path) -> None:
        self._root = path.resolve()

    def contains(self, file: str) -> bool:
        """See `PhotoFolder`."""
        with suppress(OSError, ValueError):  # too long, a NUL
            return (self._root / file).exists()
        return False

    def version(self, file: str) -> list[Any]:
        """See `PhotoFolder`."""
        with suppress(OSError, ValueError, ImageError):  # opening the photo will report it
            status = photo_path(self._root, file).stat()
            return [status.st_size, status.st_mtime_ns]
        return []

    @contextmanager
    def local_path(self, file: str, max_bytes: int) -> Iterator[Path]:  # noqa: ARG002 - in place
        """See `PhotoFolder`."""
        yield photo_path(self._root, file)


class RemoteFolder:
    """A folder of an object store or a server, read by fsspec."""

    lookups_at_once = 32  # each takes a round trip

    def __init__(self, address: str) -> None:
        """UsageError if the address cannot be used."""
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise UsageError(
                f"{address} needs fsspec: pip install -r requirements-ray.txt"
            ) from error
        scheme = address.partition("://")[0]
        try:
            self._files, self._root = url_to_fs(address)
            found = self._files.exists(self._root)
        except ImportError as error:
            reason = str(error).rstrip(".")
            raise UsageError(f"{scheme}:// cannot be read here. {reason}, with pip.") from error
        except Exception as error:  # of the client of the object store, which can be any
            raise UsageError(f"The folder {address} cannot be read: {_reason(error)}.") from error
        if not found:
            raise UsageError(f"The folder {address} does not exist.")

    def contains(self, file: str) -> bool:
        """See `PhotoFolder`."""
        return bool(self.version(file))

    def version(self, file: str) -> list[Any]:
        """See `PhotoFolder`."""
        with suppress(Exception):  # of any client; opening the photo will report it
            found = self._files.info(self._path(file))
            return [str(found.get(name)) for name in _VERSION_FIELDS]
        return []

    @contextmanager
    def local_path(self, file: str, max_bytes: int) -> Iterator[Path]:
        """See `PhotoFolder`."""
        path = self._path(file)
        try:
            data = self._files.cat_file(path, start=0, end=max_bytes + 1)
        except Exception as error:  # of any client
            raise ImageError(f"The photo cannot be opened: {_reason(error)}.") from error
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "photo")
            copy.write_bytes(data)
            yield copy

    def _path(self, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts:
            raise ImageError(OUTSIDE_FOLDER)
        return f"{self._root.rstrip('/')}/{path}"


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return getattr(error, "strerror", None) or str(error).rstrip(".") or type(error).__name__
