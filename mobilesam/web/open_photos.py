"""Which photos visitors have open: unguessable tokens, forgotten when a tab closes."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobilesam.web.replies import ExpiredError

MAX_OPEN_PHOTOS = 4096


@dataclass(frozen=True)
class OpenPhoto:
    """What the server knows of a photo that somebody has open.

    Attributes:
        path: the uploaded file.
        name: the visitor's name for it, made safe for a file name.
        file_name: as the visitor's file is called.
        embedding_key: where to find its embedding.
        folder: for the files made from it; unguessable, and removed when the visitor leaves.
        visitor: the browser tab's session.
    """

    path: Path
    name: str
    file_name: str
    embedding_key: str
    folder: Path
    visitor: str


class OpenPhotos:
    """The photos that are open, the least recently used one first to go; safe to share."""

    def __init__(self, on_close: Callable[[Iterable[str]], None]) -> None:
        """Begins with none.

        Args:
            on_close: is told the tokens of photos that are no longer open.
        """
        self._on_close = on_close
        self._photos: OrderedDict[str, OpenPhoto] = OrderedDict()
        self._opening: Counter[str] = Counter()  # by visitor
        self._left_meanwhile: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._photos)

    @contextmanager
    def opening(self, visitor: str) -> Iterator[None]:
        """While a photo is being opened: who leaves meanwhile has nothing open afterwards."""
        with self._lock:
            self._opening[visitor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._opening[visitor] -= 1
                left = not self._opening[visitor] and visitor in self._left_meanwhile
                if not self._opening[visitor]:
                    del self._opening[visitor]
                    self._left_meanwhile.discard(visitor)
            if left:
                self.leave(visitor)

    def add(self, photo: OpenPhoto) -> str:
        """Opens a photo and gives it a token."""
        token = secrets.token_urlsafe(24)
        closed = {}
        with self._lock:
            self._photos[token] = photo
            while len(self._photos) > MAX_OPEN_PHOTOS:
                oldest, left = self._photos.popitem(last=False)
                closed[oldest] = left
        self._clean_up(closed)
        return token

    def get(self, token: object) -> OpenPhoto:
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

    def leave(self, visitor: str) -> None:
        """Closes everything of a visitor whose tab has closed."""
        with self._lock:
            if visitor in self._opening:
                self._left_meanwhile.add(visitor)
            tokens = [token for token, photo in self._photos.items() if photo.visitor == visitor]
            closed = {token: self._photos.pop(token) for token in tokens}
        self._clean_up(closed)

    def _clean_up(self, photos: dict[str, OpenPhoto]) -> None:
        self._on_close(photos)
        for photo in photos.values():
            shutil.rmtree(photo.folder, ignore_errors=True)
