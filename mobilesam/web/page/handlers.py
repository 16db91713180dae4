"""The server functions of the page: JSON in, JSON out, never an exception."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio import to_thread
from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.export import FILE_FORMATS, cutout_png, export_file, mask_png, safe_file_stem
from mobilesam.images import Photo, scaled_size
from mobilesam.interactions import Answer, parse_interactions
from mobilesam.masks import mask_area, mask_to_coco_rle
from mobilesam.runtime import return_free_memory
from mobilesam.web.page.mask_generations import MaskGenerations
from mobilesam.web.page.object_payload import objects_from_file, objects_to_export
from mobilesam.web.page.photo_sessions import PhotoSession, PhotoSessions
from mobilesam.web.server.loading import loaded, wait_until_loaded
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.replies import BusyError, ExpiredError, Reply, answering
from mobilesam.web.server.storage import checked_upload, upload_stamp

if TYPE_CHECKING:  # torch is imported after the page is served
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter

DISPLAY_SIDE = 1024
"""The largest long side of a mask to display."""
THUMBNAIL_SIDE = 96
OPEN_TIMEOUT_S = 15.0
"""How long a waiting photo is kept without a poll of the page."""
_MIN_DISPLAY_SIDE = 64
_PREVIEW_SIDE = 1600
_POLL_S = 1.0
_MODEL_INFO_S = 20.0
_MAX_WAITING_FOR_MODEL = 80
_TRIM_EVERY = 50
"""Photos between two trims of the heap, which costs 1% of their time."""


class PageHandlers:
    """Opens photos, segments them and makes files, for all users of one page."""

    def __init__(self, model: Future[Segmenter], files: Path, queues: WorkQueues) -> None:
        """Can be called before the model is loaded.

        Args:
            model: the segmenter, which may still be loading.
            files: a folder for exported files that the web server serves.
            queues: run the work.
        """
        self._model = model
        self._files = files
        self._queues = queues
        self._generations = MaskGenerations()
        self._photos = PhotoSessions()
        self._encodes = itertools.count(1)

    @property
    def open_photos(self) -> int:
        """Number of photos that are open or waiting to be opened."""
        return len(self._photos)

    def server_functions(self) -> list[Callable[..., Awaitable[Reply]]]:
        """The functions that the page can call, each in its queue."""

        # Gradio passes the request where the annotation says so. Its JSON has been read already.
        async def open(query: Any, request: gr.Request) -> Reply:
            body = await request.json()
            own = {"session": body.get("session_hash")}
            return await self.open({**query, **own} if isinstance(query, dict) else query)

        async def model_info(query: Any) -> Reply:
            return await self.model_info(query)

        full_size = (self.export, self.load_masks, self.preview)
        return [
            open,
            model_info,
            self._queues.clicks.serving(self.segment),
            self._queues.others.serving(self.everything),
            *map(self._queues.full_size.serving, full_size),
        ]

    @answering
    async def model_info(self, _query: Mapping[str, Any]) -> Reply:
        """Device, weights and default options; `loaded` is false while the model is loading."""
        if not await wait_until_loaded(self._model, _MODEL_INFO_S):
            return {"loaded": False}
        segmenter = loaded(self._model)
        return {
            "loaded": True,
            "device": "CPU" if segmenter.device.type == "cpu" else "GPU",
            "weights": segmenter.weights.kind,
            "reason": segmenter.weights.reason,
            "everything": asdict(segmenter.everything_options({})),
        }

    @answering
    async def open(self, query: Mapping[str, Any]) -> Reply:
        """Opens an upload: the first call has `path` and `name`, the following ones the `token`.

        To be called again until `state` is "done"; answers within a second. Before that, `state` is
        "loading_model", "queued" or "encoding", and `position` the number of photos ahead.
        """
        photo = self._photos.get(query["token"]) if "token" in query else self._admit(query)
        if photo.expiry:
            photo.expiry.cancel()
        loop = asyncio.get_running_loop()
        photo.expiry = loop.call_later(OPEN_TIMEOUT_S, self._close, [photo])
        try:
            if photo.opening is None and await wait_until_loaded(self._model, _POLL_S):
                self._photos.get(photo.token)  # it may have been closed, or queued by another poll
                queue, work = self._queues.photos, partial(self._encode, photo)
                photo.opening = photo.opening or queue.submit(work)
            if photo.opening and (photo.opening.done or await photo.opening.wait(_POLL_S)):
                self._photos.get(photo.token)
                photo.expiry.cancel()
                return photo.opening.result()
        except Exception:
            self._close([photo])
            raise
        if photo.opening is None:
            return {"token": photo.token, "state": "loading_model", "position": 0}
        position = photo.opening.position
        state = "queued" if position else "encoding"
        return {"token": photo.token, "state": state, "position": position}

    @answering
    def segment(self, query: Mapping[str, Any]) -> Reply:
        """The mask for the interactions at display size, and thumbnails of the candidates."""
        started = time.perf_counter()
        embedding = self._embedding(self._photos.get(query.get("token")))
        answer = self._answer(embedding, query)
        elapsed_ms = 1000 * (time.perf_counter() - started)
        side = query.get("side")
        side = min(max(side, _MIN_DISPLAY_SIDE), DISPLAY_SIDE) if isinstance(side, int) else None
        mask = answer.mask(_fitted(embedding.original_size, side or DISPLAY_SIDE))
        return {
            "rle": mask_to_coco_rle(mask),
            "coverage": round(mask_area(mask) / mask.size, 4),
            "index": answer.index,
            "predicted_iou": _rounded(answer.predicted_iou),
            "candidates": _candidates(answer.prediction),
            "ms": round(elapsed_ms, 1),
        }

    @answering
    def everything(self, query: Mapping[str, Any]) -> Reply:
        """Starts or continues automatic mask generation; see `MaskGenerations.advance`.

        `generation` is null in the first call, which has `options`, and what the reply said in the
        following ones; `after` is the highest mask id received; `stop` ends it.
        """
        photo = self._photos.get(query.get("token"))
        generation = query.get("generation")
        if query.get("stop"):
            self._generations.stop(photo.token, generation)
            return {}
        if generation is None:
            options = query.get("options")
            if not isinstance(options, Mapping):
                raise PromptError("The options must be an object of names and numbers.")
            segmenter = loaded(self._model)
            steps = segmenter.iter_everything(
                self._embedding(photo), segmenter.everything_options(options)
            )
            generation = self._generations.start(photo.token, steps)
        after = query.get("after")
        return self._generations.advance(
            photo.token, generation, after if isinstance(after, int) else 0
        )

    @answering
    def export(self, query: Mapping[str, Any]) -> Reply:
        """Makes a file at the photo's own size; replies its path and the name to save it under.

        `kind` is "mask" or "cutout" for the mask of the `interactions`, or a file format for all
        `objects`; `exclusive` says which object gets a shared pixel.
        """
        session = self._photos.get(query.get("token"))
        kind = query.get("kind")
        if kind in ("mask", "cutout"):
            mask = self._answer(self._embedding(session), query).mask()
            name = f"{safe_file_stem(Path(session.file_name).stem)}-{kind}.png"
            is_mask = kind == "mask"
            data = mask_png(mask) if is_mask else cutout_png(self._photo(session), mask)
        elif kind in FILE_FORMATS:
            objects = objects_to_export(
                loaded(self._model),
                self._embedding(session),
                query.get("objects"),
                query.get("exclusive"),
            )
            name, data = export_file(kind, self._photo(session), objects, session.file_name)
        else:
            raise PromptError("This kind of file cannot be exported. Reload the page.")
        # A folder for each file, so that two exports of one name do not collide.
        folder = session.folder / secrets.token_hex(8)
        folder.mkdir(parents=True)
        try:
            (folder / name).write_bytes(data)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return {"path": str(folder / name), "name": name}

    @answering
    def load_masks(self, query: Mapping[str, Any]) -> Reply:
        """The objects in the `text` of a mask file, with masks at the photo's own size."""
        photo = self._photos.get(query.get("token"))
        size_hw = self._embedding(photo).original_size
        objects = objects_from_file(query.get("text"), size_hw, photo.file_name)
        return {
            "objects": [
                {"name": item.name, "rle": rle, "predicted_iou": item.predicted_iou}
                for item, rle in zip(objects, objects.rles, strict=True)
            ]
        }

    @answering
    def preview(self, query: Mapping[str, Any]) -> Reply:
        """The photo as the model sees it, for files that browsers show otherwise or not at all."""
        photo = self._photo(self._photos.get(query.get("token")))
        height, width = _fitted(photo.size_hw, _PREVIEW_SIDE)
        buffer = io.BytesIO()
        Image.fromarray(photo.pixels).resize((width, height)).save(buffer, "JPEG", quality=90)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {"url": f"data:image/jpeg;base64,{data}"}

    async def on_unload(self, session: str) -> None:
        """Closes all photos of a tab that was closed."""
        photos = [photo for photo in self._photos.all() if photo.session == session]
        self._close(photos)
        if photos and not self._photos:
            await to_thread.run_sync(return_free_memory)

    def _admit(self, query: Mapping[str, Any]) -> PhotoSession:
        """Registers an upload under a new token."""
        path, name, session = query.get("path"), query.get("name"), query.get("session")
        if not (isinstance(path, str) and isinstance(name, str) and isinstance(session, str)):
            raise PromptError("The request is not understood. Reload the page.")
        upload = checked_upload(path)
        folder = self._files / secrets.token_hex(24)
        photo = PhotoSession(upload, upload_stamp(upload), Path(name).name, folder, session)
        try:
            if not self._model.done() and len(self._photos) >= _MAX_WAITING_FOR_MODEL:
                raise BusyError("The model is still loading. Open the photo again in a minute.")
            self._close(self._photos.add(photo))
        except BusyError:
            self._close([photo])
            raise
        return photo

    def _encode(self, session: PhotoSession) -> Reply:
        """Encodes a photo, or finds its embedding in the cache; in a thread of the queue."""
        segmenter = loaded(self._model)
        photo = segmenter.open(session.path)
        started = time.perf_counter()
        embedding, was_cached = segmenter.encode_photo(photo)
        elapsed_ms = 1000 * (time.perf_counter() - started)
        session.embedding_key = embedding.key
        if not was_cached and next(self._encodes) % _TRIM_EVERY == 0:
            return_free_memory()
        return {
            "token": session.token,
            "state": "done",
            "size": list(photo.size_hw),
            "ms": round(elapsed_ms),
            "cached": was_cached,
            "notes": [*photo.notes, *filter(None, [embedding.note])],
            "preview": not photo.browser_agrees,
        }

    def _close(self, photos: list[PhotoSession]) -> None:
        self._photos.close(photos)
        self._generations.forget(photo.token for photo in photos)

    def _answer(self, embedding: ImageEmbedding, query: Mapping[str, Any]) -> Answer:
        interactions = parse_interactions(query.get("interactions"))
        return loaded(self._model).answer(embedding, interactions)

    def _embedding(self, photo: PhotoSession) -> ImageEmbedding:
        embedding = loaded(self._model).cached(photo.embedding_key)
        if embedding is None:
            raise ExpiredError("The photo must be encoded again. Open it again.")
        return embedding

    def _photo(self, session: PhotoSession) -> Photo:
        if not session.path.is_file():
            raise ExpiredError("The server no longer has this photo. Open it again.")
        return loaded(self._model).open(session.path)


def _fitted(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size, scaled down to a long side if it is larger."""
    return size_hw if max(size_hw) <= long_side else scaled_size(size_hw, long_side)


def _candidates(prediction: Prediction | None) -> list[dict[str, Any]]:
    """Thumbnail and predicted IoU of each candidate, if there are several."""
    if prediction is None or len(prediction.iou_predictions) < 2:
        return []
    thumbnail_hw = _fitted(prediction.original_size, THUMBNAIL_SIDE)
    return [
        {
            "predicted_iou": _rounded(iou),
            "rle": mask_to_coco_rle(prediction.mask(index, thumbnail_hw)),
        }
        for index, iou in enumerate(prediction.iou_predictions)
    ]


def _rounded(iou: float | None) -> float | None:
    return None if iou is None else round(float(iou), 3)
