"""The photos that browser tabs have open, each under an unguessable token."""

import asyncio
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from mobilesam.frame import CropXYXY
from mobilesam.web.page.mask_generation import MaskGeneration
from mobilesam.web.server.replies import ExpiredError, Reply

MAX_OPEN_PHOTOS = 4096
MAX_WAITING_PER_SESSION = 3  # photos to be encoded; the page only needs the newest


@dataclass(eq=False)
class PhotoSession:
    """A photo that a tab has open, or is waiting to open.

    Attributes:
        file_name: the user's name for the file.
        folder: unguessable; contains the photo and the files exported from it until it is closed.
        stored_name: of the photo's file.
        session: Gradio's session hash of the tab.
        embedding_key: key of its embedding; empty until it is encoded.
        original_size: (H, W) of the upright photo; None until it is encoded.
        encode: queues the work of opening it; None once it is queued.
        opening: the last reply to `open`.
        crops: the last reply to `encode_crop` for each crop.
        expiry: closes the photo when the page stops polling.
    """

    file_name: str
    folder: Path
    session: str
    stored_name: str = field(default_factory=lambda: secrets.token_hex(24))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    embedding_key: str = ""
    original_size: tuple[int, int] | None = None
    encode: Callable[[], Future[Reply]] | None = None
    opening: Future[Reply] = field(default_factory=Future)
    crops: dict[CropXYXY, Future[Reply]] = field(default_factory=dict)
    expiry: asyncio.TimerHandle | None = None
    generation: MaskGeneration | None = None

    @property
    def path(self) -> Path:
        """The uploaded file; its name is not in the paths of exports, which users may pass on."""
        return self.folder / self.stored_name

    def start(self) -> None:
        """Opens the photo, unless that has begun; BusyError if too many photos are waiting."""
        if self.encode:
            self.opening = self.encode()
            self.encode = None


class PhotoSessions:
    """All open photos.

    `get` and `bound_generations` may be called from any thread, all else from the event loop only.
    """

    def __init__(self) -> None:
        self._photos: OrderedDict[str, PhotoSession] = OrderedDict()  # last used last
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._photos)

    def get(self, token: object) -> PhotoSession:
        """The photo with a token, which may be any JSON value; ExpiredError if there is none."""
        with self._lock:
            photo = self._photos.get(token) if isinstance(token, str) else None
            if photo is None:
                raise ExpiredError("The server no longer has this photo. Open it again.")
            self._photos.move_to_end(photo.token)
            return photo

    def of_session(self, session: str | None) -> list[PhotoSession]:
        """The photos of a tab."""
        return [photo for photo in self._all() if photo.session == session]

    def add(self, photo: PhotoSession) -> None:
        """Adds a photo, and closes the oldest ones if too many are open, or waiting in its tab."""
        with self._lock:
            self._photos[photo.token] = photo
        waiting = [other for other in self.of_session(photo.session) if not other.embedding_key]
        for excess in waiting[:-MAX_WAITING_PER_SESSION] + self._all()[:-MAX_OPEN_PHOTOS]:
            self.close(excess)

    def close(self, photo: PhotoSession) -> None:
        """Forgets a photo, cancels its work, and removes its files."""
        with self._lock:
            self._photos.pop(photo.token, None)
        self.keep(photo)
        for work in (photo.opening, *photo.crops.values()):
            work.cancel()
        if photo.generation:
            photo.generation.stop()
        shutil.rmtree(photo.folder, ignore_errors=True)

    def close_later(self, photo: PhotoSession, delay_s: float) -> None:
        """Closes a photo unless this or `keep` is called in time."""
        self.keep(photo)
        photo.expiry = asyncio.get_running_loop().call_later(delay_s, self.close, photo)

    def keep(self, photo: PhotoSession) -> None:
        """Keeps a photo until its tab is closed."""
        if photo.expiry:
            photo.expiry.cancel()

    def bound_generations(self, max_bytes: int) -> None:
        """Drops the mask generations of the least recently used photos until the others fit."""
        held_bytes = 0
        for photo in reversed(self._all()):
            if photo.generation:
                held_bytes += photo.generation.held_bytes
                if held_bytes > max_bytes and held_bytes > photo.generation.held_bytes:
                    photo.generation.stop()
                    photo.generation = None

    def _all(self) -> list[PhotoSession]:
        with self._lock:
            return list(self._photos.values())
