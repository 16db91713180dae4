"""The photos that browser tabs have open, each under an unguessable token."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobilesam.web.server.queues import QueuedWork
from mobilesam.web.server.replies import BusyError, ExpiredError
from mobilesam.web.server.storage import UploadStamp, remove_upload

MAX_OPEN_PHOTOS = 4096
MAX_WAITING_PER_SESSION = 3
"""Photos that wait to be encoded; the page only needs the newest."""


@dataclass(eq=False)
class PhotoSession:
    """A photo that a tab has open, or is waiting to open.

    Attributes:
        path: the uploaded file, removed when no tab has it open any longer.
        stamp: identifies the upload; another user's upload of the same photo has the same path.
        file_name: the user's name for the file.
        folder: for the files exported from it; unguessable, and removed when the photo is closed.
        session: Gradio's session hash of the tab.
        token: by which the page refers to the photo.
        embedding_key: key of its embedding; empty until it is encoded.
        opening: the work that encodes it; None until the model is loaded. Event loop only.
        expiry: closes the photo when the page stops polling. Event loop only.
    """

    path: Path
    stamp: UploadStamp
    file_name: str
    folder: Path
    session: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    embedding_key: str = ""
    opening: QueuedWork[dict[str, Any]] | None = None
    expiry: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is not encoded yet."""
        return not self.embedding_key


class PhotoSessions:
    """All open photos, least recently used first.

    `get` may be called from any thread, everything else from the event loop only.
    """

    def __init__(self) -> None:
        """Creates an empty collection."""
        self._photos: OrderedDict[str, PhotoSession] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._photos)

    def get(self, token: object) -> PhotoSession:
        """The photo with a token, which may be any JSON value.

        Raises:
            ExpiredError: there is none.
        """
        with self._lock:
            photo = self._photos.get(token) if isinstance(token, str) else None
            if photo is None:
                raise ExpiredError("The server no longer has this photo. Open it again.")
            self._photos.move_to_end(photo.token)
            return photo

    def all(self) -> list[PhotoSession]:
        """All photos."""
        with self._lock:
            return list(self._photos.values())

    def add(self, photo: PhotoSession) -> list[PhotoSession]:
        """Adds a photo, and returns those to close if there are too many.

        Raises:
            BusyError: too many photos of the session are waiting.
        """
        own = [other for other in self.all() if other.session == photo.session]
        if sum(other.is_waiting for other in own) >= MAX_WAITING_PER_SESSION:
            raise BusyError("Several of your photos are waiting to be opened. Try again shortly.")
        with self._lock:
            self._photos[photo.token] = photo
        return self.all()[:-MAX_OPEN_PHOTOS]

    def close(self, photos: Iterable[PhotoSession]) -> None:
        """Forgets photos, cancels their encoding, and removes their files."""
        for photo in photos:
            with self._lock:
                self._photos.pop(photo.token, None)
            if photo.expiry:
                photo.expiry.cancel()
            if photo.opening:
                photo.opening.cancel()
            shutil.rmtree(photo.folder, ignore_errors=True)
            if all(other.path != photo.path for other in self.all()):
                remove_upload(photo.path, photo.stamp)
