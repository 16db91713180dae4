"""Opens photos: uploads become photos of a tab, which are encoded in their queue."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import mobilesam
from mobilesam.errors import PromptError
from mobilesam.export.documents import MAX_TEXT
from mobilesam.frame import CropXYXY, checked_crop
from mobilesam.images import Photo
from mobilesam.runtime import return_free_memory
from mobilesam.web.page.browser_decoding import DecoderOffer
from mobilesam.web.page.photo_sessions import MAX_OPEN_PHOTOS, PhotoSession, PhotoSessions
from mobilesam.web.server.queues import WorkQueues, wait_until_done
from mobilesam.web.server.replies import (
    BusyError,
    ExpiredError,
    Reply,
    answered,
    answering,
    refusal,
)
from mobilesam.web.server.storage import checked_upload

OPEN_TIMEOUT_S = 15.0  # how long a waiting photo is kept without a poll of the page
MAX_CROPS = 100  # of a photo, while it is open; as many as it can have objects
MAX_AHEAD_OF_CROP = 3  # photos and crops; a click can also be answered without its crop
_NOT_ENCODED = "The photo must be encoded again. Open it again."
_POLL_S = 1.0
_IDLE_S = 0.5  # without a click, before a photo is encoded ahead of time
_IDLE_CHECKS = 10  # in a poll
_TRIM_EVERY = 50  # photos between two trims of the heap, which costs 1% of their time


class PhotoOpening:
    """Opens and closes the photos of all tabs.

    Attributes:
        photos: those that are open, or are being opened.
        decoder: what pages may decode themselves with.
    """

    def __init__(self, model: Future[mobilesam.Segmenter], files: Path, queues: WorkQueues) -> None:
        """See `PageHandlers`."""
        self._model = model
        self._files = files
        self._queues = queues
        self.photos = PhotoSessions()
        self.decoder = DecoderOffer(model)
        self._encodes = 0

    async def open(self, query: Any, session: str) -> Reply:
        """Opens an upload: the first call has `path` and `name`, the following ones the `token`.

        The page calls it until `state` is "done"; each call returns within a second. Until then,
        `state` is "loading_model", "queued" or "encoding", and `position` the number of photos
        ahead. With `ahead`, the photo is only encoded once the server has nothing else to do.
        """
        try:
            is_open = "token" in query
            photo = self.photos.get(query["token"]) if is_open else self._admit(query, session)
            self.photos.close_later(photo, OPEN_TIMEOUT_S)
            if not query.get("ahead") or await self._is_idle():
                self._start(photo)
            is_done = not photo.encode and await wait_until_done(photo.opening, _POLL_S)
            self.photos.get(photo.token)  # it may have been closed meanwhile
        except Exception as error:
            return refusal("open", query, error)
        if not is_done:
            position = 0 if photo.encode else self._queues.photos.position(photo.opening)
            waiting_state = "queued" if position or photo.encode else "encoding"
            state = waiting_state if self._model.done() else "loading_model"
            return {"ok": True, "token": photo.token, "state": state, "position": position}
        self.photos.keep(photo)
        reply = photo.opening.result()
        if not reply["ok"]:
            self.photos.close(photo)
        return reply

    async def encode_crop(self, query: Any) -> Reply:
        """Encodes the `crop` of a photo, which interactions can then name; see `SetCrop`.

        It waits among the photos that are being opened, but not behind many.
        """
        try:
            photo = self.photos.get(query.get("token"))
            if photo.original_size is None:
                raise ExpiredError(_NOT_ENCODED)
            # Not the size in the embedding, for which the event loop might wait.
            crop = checked_crop(query.get("crop"), photo.original_size)
            if crop is None:
                return {"ok": True}
            encoding = photo.crops.get(crop)
            if encoding is None or encoding.done():  # it may have been evicted since
                encoding = self._queue_crop(photo, crop, query)
            await wait_until_done(encoding)
            self.photos.get(photo.token)  # it may have been closed meanwhile
            return encoding.result()
        except Exception as error:
            return refusal("encode_crop", query, error)

    @answering
    def close(self, query: Mapping[str, Any]) -> Reply:
        """Closes photos that the page does not need any more, by their `tokens`."""
        tokens = query.get("tokens")
        for token in tokens[:MAX_OPEN_PHOTOS] if isinstance(tokens, list) else ():
            with suppress(ExpiredError):
                self.photos.close(self.photos.get(token))
        return {}

    def embedding(self, photo: PhotoSession) -> mobilesam.ImageEmbedding:
        """The embedding of an open photo; ExpiredError if it is no longer in a cache.

        Not for the event loop: it may wait for the shared cache.
        """
        embedding = photo.embedding_key and self._model.result().cached(photo.embedding_key)
        if not embedding:
            raise ExpiredError(_NOT_ENCODED)
        return embedding

    def file_of(self, photo: PhotoSession) -> Path:
        """The uploaded file of an open photo; ExpiredError if it has been removed."""
        if not photo.path.is_file():
            raise ExpiredError("The server no longer has this photo. Open it again.")
        return photo.path

    def pixels(self, photo: PhotoSession) -> Photo:
        """An open photo, read from its file; ExpiredError if that has been removed."""
        return self._model.result().open(self.file_of(photo))

    def _admit(self, query: Mapping[str, Any], session: str) -> PhotoSession:
        """Moves an upload to its own folder and queues it under a new token."""
        path, name = query.get("path"), query.get("name")
        if not (isinstance(path, str) and isinstance(name, str)):
            raise PromptError("The server does not understand the request. Reload the page.")
        check_file_name(name)
        upload = checked_upload(path)
        photo = PhotoSession(Path(name).name, self._files / secrets.token_hex(24), session)
        photo.folder.mkdir()
        upload.replace(photo.path)

        def encode() -> Reply:
            wait([self._model])  # the log counts this as waiting
            return answered("open", query, lambda: self._encode(photo))

        photo.encode = functools.partial(self._queues.photos.submit, encode)
        self.photos.add(photo)
        return photo

    def _start(self, photo: PhotoSession) -> None:
        try:
            photo.start()
        except BusyError:
            self.photos.close(photo)
            raise

    async def _is_idle(self) -> bool:
        """Waits up to a second until nobody opens or clicks a photo; whether that came true."""
        for _ in range(_IDLE_CHECKS):
            if self._queues.photos.is_idle(0) and self._queues.are_clicks_idle(_IDLE_S):
                return self._model.done()
            await asyncio.sleep(_POLL_S / _IDLE_CHECKS)
        return False

    def _queue_crop(
        self, photo: PhotoSession, crop: CropXYXY, query: Mapping[str, Any]
    ) -> Future[Reply]:
        if crop not in photo.crops and len(photo.crops) >= MAX_CROPS:
            raise PromptError("Too many parts of this photo have been encoded. Reload the page.")

        def encode() -> Reply:
            return answered("encode_crop", query, lambda: self._encode_crop(photo, crop))

        encoding = self._queues.photos.submit(encode)
        if self._queues.photos.position(encoding) > MAX_AHEAD_OF_CROP and encoding.cancel():
            raise BusyError("The server is busy. Try again shortly.")
        photo.crops[crop] = encoding
        return encoding

    def _encode_crop(self, session: PhotoSession, crop: CropXYXY) -> Reply:
        segmenter = self._model.result()
        if not segmenter.cached_crop(self.embedding(session), crop):
            segmenter.encode_photo(self.pixels(session), crop)
            self._trim_memory()
        return {}

    def _encode(self, session: PhotoSession) -> Reply:
        """Encodes a photo, or finds its embedding in the cache."""
        segmenter = self._model.result()
        photo = self.pixels(session)
        started_at = time.perf_counter()
        embedding, was_cached = segmenter.encode_photo(photo)
        elapsed_ms = 1000 * (time.perf_counter() - started_at)
        session.original_size = embedding.original_size
        session.embedding_key = embedding.key
        if not was_cached:
            self._trim_memory()
        return {
            "token": session.token,
            "state": "done",
            "size": list(photo.size_hw),
            "ms": round(elapsed_ms),
            "cached": was_cached,
            "notes": [*photo.notes, *filter(None, [embedding.note])],
            "preview": not photo.browser_agrees,
            "decoder": self.decoder.describe(embedding),
        }

    def _trim_memory(self) -> None:
        """To be called after every encode."""
        self._encodes += 1
        if self._encodes % _TRIM_EVERY == 0:
            return_free_memory()


def check_file_name(name: str) -> None:
    """Raises PromptError if the name of a user's file is too long to be kept or read."""
    if len(name) > MAX_TEXT:
        raise PromptError(
            f"A file's name can have at most {MAX_TEXT} characters. Rename the file and try again."
        )
