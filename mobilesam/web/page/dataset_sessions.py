"""The data sets that browser tabs are writing, each under an unguessable id.

The page sends one photo at a time, so that neither a request nor the server's memory holds them
all. It may repeat any call whose reply was lost.
"""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import PromptError
from mobilesam.export import ClassList, DatasetWriter, read_objects, split_photos
from mobilesam.export.classes import DEFAULT_NAME
from mobilesam.export.dataset import checked_format
from mobilesam.export.documents import MAX_TEXT
from mobilesam.export.outlines import checked_tolerance
from mobilesam.export.split import checked_seed, checked_shares
from mobilesam.schemas import WholeNumber, validate
from mobilesam.settings import MEGA
from mobilesam.web.server.replies import BusyError, ExpiredError, Reply

MAX_PHOTOS = 2000  # of a data set
MAX_BYTES = 2000 * MEGA  # of a data set, and half of what `storage` keeps of all files
MAX_ALL_BYTES = 3000 * MEGA  # of all data sets, also finished ones until they are removed
MAX_OPEN = 64
MAX_PER_TAB = 2  # finished ones included
SILENCE_S = 10 * 60.0  # how long an id is kept without a call that succeeds
YIELD_S = 60.0  # and where MAX_OPEN are being written
_CPU_BUDGET_S = 30.0  # of CPU time for one photo

_GONE = "The server no longer has this data set. Export it again."

_Key = Annotated[str, Field(max_length=MAX_TEXT)]
_KEYS = TypeAdapter(Annotated[list[_Key], Field(min_length=1, max_length=MAX_PHOTOS)])
_Side = Annotated[WholeNumber, Field(ge=1)]


class SentPhoto(BaseModel):
    """A photo as the page sends it, with the file of an upload or of an open photo, or without."""

    name: Annotated[str, Field(max_length=MAX_TEXT)]
    size: tuple[_Side, _Side]  # (H, W)
    objects: Any  # `read_objects` validates them
    path: str | None = None
    token: str | None = None


PhotoFile: TypeAlias = Callable[[SentPhoto], AbstractContextManager[Path | None]]


class DatasetSession:
    """One data set: it is written to a file in `folder`, which other users cannot guess.

    Attributes:
        id: unguessable.
        tab: Gradio's session hash of the tab that writes it.
        bytes_written: to the disk so far.
        used_at: when a call last succeeded, on the monotonic clock.
        is_finished: whether the file is complete.
    """

    def __init__(self, query: Mapping[str, Any], folder: Path, tab: str) -> None:
        """Starts to write; the query has the fields of the first call of `PageHandlers.dataset`.

        Raises:
            PromptError: a field is invalid.
        """
        keys = validate(_KEYS, query.get("photos"), name="photos")
        shares = checked_shares(query.get("split", [1, 0, 0]))
        classes = ClassList.from_json(query.get("classes"))
        file_format = checked_format(query.get("format"))
        tolerance = checked_tolerance(query.get("tolerance", 0))
        self._splits = split_photos(keys, shares, checked_seed(query.get("seed", 0)))
        self.id = secrets.token_urlsafe(24)
        self.tab = tab
        self.bytes_written = 0
        self.used_at = time.monotonic()
        self.is_finished = False
        self._added: set[int] = set()
        self._lock = threading.Lock()
        folder.mkdir()
        self._path = folder / f"dataset-{file_format.replace('_', '-')}.zip"
        self._writer = DatasetWriter(self._path, file_format, classes, tolerance)

    def add(self, n: object, raw: object, max_pixels: int, photo_file: PhotoFile) -> Reply:
        """Adds photo number `n`, unless it is there already.

        `raw` is the JSON of a `SentPhoto`, and `photo_file` gives its file while it is copied. See
        `PageHandlers.dataset` about the arguments.

        Raises:
            MobileSamError: the photo or its objects are invalid, or the data set is too large or
                gone.
        """
        if type(n) is not int or not 0 <= n < len(self._splits):
            raise PromptError("This photo is not one of the data set. Export it again.")
        with self._lock:
            if n not in self._added:
                self._check_open()
                if self.is_finished:
                    raise PromptError("This data set is finished. Export it again.")
                sent = validate(SentPhoto, raw, name="photo")
                with photo_file(sent) as photo:
                    self._add(n, sent, max_pixels, photo)
                self._added.add(n)
            self.used_at = time.monotonic()
            return {"photos": self._writer.photos}

    def finish(self) -> Reply:
        """Completes the file; its path and name, and the numbers of photos and objects."""
        with self._lock:
            self._check_open()
            if not self.is_finished:
                self._writer.finish()
                self.bytes_written = self._path.stat().st_size
                self.is_finished = True
            self.used_at = time.monotonic()
            return {
                "path": str(self._path),
                "name": self._path.name,
                "photos": self._writer.photos,
                "objects": self._writer.objects,
            }

    @property
    def is_empty(self) -> bool:
        """Whether it has no photos yet."""
        return not self._added

    @property
    def bytes_kept(self) -> int:
        """Bytes on the disk; 0 once `storage` has removed the finished file."""
        return 0 if self.is_finished and not self._path.exists() else self.bytes_written

    def close(self) -> None:
        """Removes the file, also while another thread waits to write to it."""
        with self._lock:
            self._discard()

    def _check_open(self) -> None:
        try:
            os.utime(self._path)  # else `storage` would remove it when it is old
        except OSError:  # it is closed, or `storage` needed the space
            self._discard()
            raise ExpiredError(_GONE) from None

    def _add(self, n: int, sent: SentPhoto, max_pixels: int, photo: Path | None) -> None:
        height, width = sent.size
        if height * width > max_pixels:
            raise PromptError(f"A photo can have at most {max_pixels / MEGA:g} megapixels.")
        budget = CpuBudget(_CPU_BUDGET_S)
        objects = read_objects(sent.objects, sent.size, budget, DEFAULT_NAME)
        photo_bytes = photo.stat().st_size if photo else 0
        if self.bytes_written + photo_bytes > MAX_BYTES:
            raise PromptError(
                f"A data set can have at most {MAX_BYTES / 1000 / MEGA:g} GB. "
                "Export it without the photos."
            )
        try:
            self._writer.add(sent.name, sent.size, objects, self._splits[n], photo)
        except OSError:
            self._discard()
            raise
        self.bytes_written = self._writer.size_bytes

    def _discard(self) -> None:
        self._writer.close()
        shutil.rmtree(self._path.parent, ignore_errors=True)


class DatasetSessions:
    """All data sets that are being written, or were finished a short while ago; thread-safe."""

    def __init__(self) -> None:
        self._datasets: dict[str, DatasetSession] = {}
        self._lock = threading.Lock()

    def get(self, dataset_id: object) -> DatasetSession:
        """The data set with an id, which may be any JSON value; ExpiredError if there is none."""
        with self._lock:
            found = self._datasets.get(dataset_id) if isinstance(dataset_id, str) else None
            if found is None:
                raise ExpiredError(_GONE)
            return found

    def add(self, dataset: DatasetSession) -> None:
        """Adds a data set, in place of the oldest one of its tab if that has too many.

        If all tabs have too many, it takes the place of the one that was silent for longest among
        those without photos and those that were silent for YIELD_S.

        Raises:
            BusyError: too many are being written at this moment. The data set is closed.
        """
        try:
            with self._lock:
                replaced = self._replaced_by(dataset)
                for one in replaced:
                    del self._datasets[one.id]
                self._datasets[dataset.id] = dataset
        except BusyError:
            dataset.close()
            raise
        self._close(replaced)

    def check_room(self) -> None:
        """Raises BusyError if all data sets together have become too large."""
        with self._lock:
            datasets = list(self._datasets.values())
        if sum(one.bytes_kept for one in datasets) > MAX_ALL_BYTES:
            raise BusyError(
                "The server has no room for more photos now. Export the data set without them."
            )

    def close_tab(self, tab: str | None) -> None:
        """Closes the data sets of a tab."""
        self.close_where(lambda one: one.tab == tab)

    def close_silent(self) -> None:
        """Closes the data sets whose pages have not called for SILENCE_S."""
        oldest = time.monotonic() - SILENCE_S
        self.close_where(lambda one: one.used_at < oldest)

    def close_where(self, condition: Callable[[DatasetSession], bool]) -> None:
        """Closes the data sets for which a condition holds."""
        with self._lock:
            found = [one for one in self._datasets.values() if condition(one)]
        self._close(found)

    def _replaced_by(self, dataset: DatasetSession) -> list[DatasetSession]:
        own = [one for one in self._datasets.values() if one.tab == dataset.tab]
        excess = own[: len(own) + 1 - MAX_PER_TAB]
        kept = [one for one in self._datasets.values() if one not in excess]
        if sum(not one.is_finished for one in kept) < MAX_OPEN:
            return excess
        silent = time.monotonic() - YIELD_S
        idle = [
            one for one in kept if not one.is_finished and (one.is_empty or one.used_at < silent)
        ]
        if not idle:
            raise BusyError("Too many data sets are being written. Try again in a few minutes.")
        return [*excess, min(idle, key=lambda one: one.used_at)]

    def _close(self, datasets: Iterable[DatasetSession]) -> None:
        for dataset in datasets:
            with self._lock:
                self._datasets.pop(dataset.id, None)
            dataset.close()
