"""Which photos visitors have open: unguessable tokens, forgotten when a tab closes."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mobilesam.web.server.replies import BusyError, ExpiredError
from mobilesam.web.server.uploads import UploadStamp, remove_upload

MAX_OPEN_PHOTOS = 4096
MAX_WAITING_EACH = 3
"""Photos of one visitor that wait to be encoded: the page wants the newest alone."""


@dataclass(frozen=True)
class PhotoSession:
    """What the server knows of a photo that somebody has open.

    Attributes:
        path: the uploaded file, removed when the last visitor who has it open leaves.
        stamp: which file that is; another visitor's equal upload takes the same path.
        name: the visitor's name for it, made safe for a file name.
        file_name: as the visitor's file is called.
        folder: for the files made from it; unguessable, and removed when the visitor leaves.
        visitor: the browser tab's session.
        embedding_key: where to find its embedding, once it is encoded.
    """

    path: Path
    stamp: UploadStamp
    name: str
    file_name: str
    folder: Path
    visitor: str
    embedding_key: str = ""


class PhotoSessions:
    """The photos that are open, the least recently used one first to go; safe to share."""

    def __init__(self, on_close: Callable[[Iterable[str]], None]) -> None:
        """Begins with none.

        Args:
            on_close: is told the tokens of photos that are no longer open.
        """
        self._on_close = on_close
        self._photos: OrderedDict[str, PhotoSession] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._photos)

    def add(self, photo: PhotoSession) -> str:
        """Opens a photo and gives it a token.

        Raises:
            BusyError: several of the visitor's photos are waiting already.
        """
        token = secrets.token_urlsafe(24)
        closed = {}
        with self._lock:
            others = (one for one in self._photos.values() if one.visitor == photo.visitor)
            if sum(not one.embedding_key for one in others) >= MAX_WAITING_EACH:
                raise BusyError("Several of your photos are waiting already; one moment.")
            self._photos[token] = photo
            while len(self._photos) > MAX_OPEN_PHOTOS:
                oldest, left = self._photos.popitem(last=False)
                closed[oldest] = left
        self._clean_up(closed)
        return token

    def get(self, token: object) -> PhotoSession:
        """The photo that a token, which may be any JSON, means.

        Raises:
            ExpiredError: there is none.
        """
        with self._lock:
            photo = self._photos.get(token) if isinstance(token, str) else None
            if photo is None:
                raise ExpiredError("The server no longer has this photo; it is opened again.")
            self._photos.move_to_end(token)  # type: ignore[arg-type]
            return photo

    def encoded(self, token: str, embedding_key: str) -> None:
        """Notes where the embedding of an open photo is.

        Raises:
            ExpiredError: the visitor has left meanwhile.
        """
        with self._lock:
            if token not in self._photos:
                raise ExpiredError("The page was closed; open the photo again.")
            self._photos[token] = replace(self._photos[token], embedding_key=embedding_key)

    def drop(self, token: str) -> None:
        """Forgets a photo that could not be opened."""
        with self._lock:
            self._photos.pop(token, None)

    def leave(self, visitor: str) -> bool:
        """Closes everything of a visitor whose tab has closed; whether that was anything."""
        with self._lock:
            tokens = [token for token, photo in self._photos.items() if photo.visitor == visitor]
            closed = {token: self._photos.pop(token) for token in tokens}
        self._clean_up(closed)
        return bool(closed)

    def _clean_up(self, photos: dict[str, PhotoSession]) -> None:
        self._on_close(photos)
        with self._lock:
            still_open = {photo.path for photo in self._photos.values()}
        for photo in photos.values():
            shutil.rmtree(photo.folder, ignore_errors=True)
            if photo.path not in still_open:
                remove_upload(photo.path, photo.stamp)
