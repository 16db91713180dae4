"""The server functions of the page: JSON in, JSON out, never an exception."""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread
from PIL import Image

import mobilesam
from mobilesam.combining import combine_masks
from mobilesam.errors import PromptError
from mobilesam.export import (
    FILE_FORMATS,
    ClassList,
    cutout_bounds_xyxy,
    cutout_png,
    export_file,
    export_file_name,
    mask_png,
    read_class_names,
)
from mobilesam.export.outlines import checked_tolerance, count_vertices
from mobilesam.frame import CropXYXY, checked_crop
from mobilesam.images import Photo, scaled_size
from mobilesam.interactions import Answer, parse_interactions
from mobilesam.masks import Mask, mask_to_coco_rle, rle_area
from mobilesam.objects import PhotoObject, union_mask
from mobilesam.runtime import return_free_memory
from mobilesam.settings import MEGA
from mobilesam.web.page.dataset_sessions import (
    SILENCE_S,
    DatasetSession,
    DatasetSessions,
    SentPhoto,
)
from mobilesam.web.page.mask_generation import MaskGeneration
from mobilesam.web.page.object_payload import (
    imported_objects,
    is_clean,
    objects_from_file,
    objects_to_export,
)
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
from mobilesam.web.server.storage import checked_upload, new_file

DISPLAY_SIDE = 1024  # the largest long side of a mask to display
THUMBNAIL_SIDE = 96
OPEN_TIMEOUT_S = 15.0  # how long a waiting photo is kept without a poll of the page
MAX_CROPS = 100  # of a photo, while it is open; as many as it can have objects
MAX_AHEAD_OF_CROP = 3  # photos and crops; a click can also be answered without its crop
_MIN_DISPLAY_SIDE = 64
_PREVIEW_SIDE = 1600
_POLL_S = 1.0
_IDLE_S = 0.5  # without a click, before a photo is encoded ahead of time
_IDLE_CHECKS = 10  # in a poll
_MODEL_INFO_S = 20.0
_EVERYTHING_DEFAULTS = {"min_area_share": 0.01, "mask_nms_thresh": 0.8}
"""Of the page: users look at all masks, and would have to sort out specks and near-duplicates."""
_MAX_GENERATION_BYTES = 256 * MEGA  # of all mask generations together
_TRIM_EVERY = 50  # photos between two trims of the heap, which costs 1% of their time


class PageHandlers:
    """Opens photos, segments them and makes files, for all users of one page."""

    def __init__(self, model: Future[mobilesam.Segmenter], files: Path, queues: WorkQueues) -> None:
        """The model may still be loading; `files` is a folder that the web server serves."""
        self._model = model
        self._files = files
        self._queues = queues
        self.photos = PhotoSessions()
        self.datasets = DatasetSessions()
        self._generating = threading.Lock()
        self._encodes = 0

    def server_functions(self) -> list[Callable[..., Awaitable[Reply]]]:
        """The functions that the page can call, each in its queue."""

        # Gradio passes the request where the annotation says so. Its JSON has been read already.
        async def open(query: Any, request: gr.Request) -> Reply:
            body = await request.json()
            return await self.open(query, str(body.get("session_hash")))

        async def encode_crop(query: Any) -> Reply:
            return await self.encode_crop(query)

        async def model_info(query: Any) -> Reply:
            await wait_until_done(self._model, _MODEL_INFO_S)
            return self.model_info(query)

        async def close(query: Any) -> Reply:
            return self.close(query)

        async def dataset(query: Any, request: gr.Request) -> Reply:
            body = await request.json()
            return await self.dataset(query, str(body.get("session_hash")))

        full_size = (
            self.export,
            self.masks,
            self.combine,
            self.load_masks,
            self.import_annotations,
            self.preview,
            self.read_classes,
        )
        return [
            open,
            close,
            model_info,
            dataset,
            encode_crop,
            self._queues.clicks.serving(self.segment),
            self._queues.others.serving(self.everything),
            *map(self._queues.full_size.serving, full_size),
        ]

    @answering
    def model_info(self, _query: Mapping[str, Any]) -> Reply:
        """Device, weights, the page's default options; until the model is loaded only `loaded`."""
        if not self._model.done():
            return {"loaded": False}
        segmenter = self._model.result()
        return {
            "loaded": True,
            "device": "CPU" if segmenter.backend.device.type == "cpu" else "GPU",
            "weights": segmenter.weights.kind,
            "reason": segmenter.weights.reason,
            "everything": asdict(segmenter.everything_options(_EVERYTHING_DEFAULTS)),
        }

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
            crop = checked_crop(query.get("crop"), self._embedding(photo).original_size)
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
    def segment(self, query: Mapping[str, Any]) -> Reply:
        """The mask for the interactions at display size, and thumbnails of the candidates.

        `clean` in the query, true by default, removes specks and fills small holes.
        """
        started_at = time.perf_counter()
        embedding = self._embedding(self.photos.get(query.get("token")))
        answer = self._answer(embedding, query)
        elapsed_ms = 1000 * (time.perf_counter() - started_at)
        side = query.get("side")
        side = max(side, _MIN_DISPLAY_SIDE) if isinstance(side, int) else DISPLAY_SIDE
        size_hw = _fitted(embedding.original_size, min(side, DISPLAY_SIDE))
        mask = answer.mask(size_hw, clean=is_clean(query))
        rle = mask_to_coco_rle(mask)
        iou = answer.predicted_iou
        return {
            "rle": rle,
            "coverage": round(rle_area(rle) / mask.size, 4),
            "index": answer.index,
            "predicted_iou": None if iou is None else round(iou, 3),
            "candidates": _candidates(answer, is_clean(query)),
            "ms": round(elapsed_ms, 1),
        }

    @answering
    def everything(self, query: Mapping[str, Any]) -> Reply:
        """Starts or continues automatic mask generation; see `MaskGeneration.reply`.

        The first call has `options`. The following ones have the reply's `generation`, the highest
        mask id received as `after`, and `stop` to end it. `waiting` is true in the reply if another
        generation was being computed.
        """
        photo = self.photos.get(query.get("token"))
        if query.get("stop"):
            self._generation(photo, query).stop()
            return {}
        if query.get("generation") is None:
            query = {**query, "generation": self._start_generation(photo, query.get("options"))}
        generation = self._generation(photo, query)
        is_waiting = not generation.advance(self._generating)
        self.photos.bound_generations(_MAX_GENERATION_BYTES)
        self._generation(photo, query)  # it may have been replaced meanwhile
        after = query.get("after")
        reply = generation.reply(after if isinstance(after, int) else 0)
        return {**reply, "waiting": is_waiting}

    @answering
    def export(self, query: Mapping[str, Any]) -> Reply:
        """Makes a file at the photo's own size; replies its path and the name to save it under.

        `kind` is "mask" or "cutout" for the mask of the `interactions`, or that of all `objects`
        together if they are given; or a file format for all `objects`. `clean` is as in `segment`,
        and each object has its own. `exclusive` says which object gets a shared pixel, `edges`
        whether those of cut-outs are "soft", the default, or "hard". `classes` is a list of names
        whose ids are fixed, and `tolerance` says by how many pixels polygons are simplified. The
        reply has a cut-out's upper left `corner` in the photo, [x, y].
        """
        photo = self.photos.get(query.get("token"))
        embedding = self._embedding(photo)
        kind, edges = query.get("kind"), query.get("edges")
        if edges not in (None, "soft", "hard"):
            raise PromptError('edges must be "soft" or "hard".')
        soft = edges != "hard"
        more: Reply = {}
        if kind in ("mask", "cutout"):
            mask = self._mask(embedding, query)
            name = export_file_name(photo.file_name, f"-{kind}.png")
            if kind == "cutout":
                more["corner"] = list(cutout_bounds_xyxy(mask, soft)[:2])
                data = cutout_png(self._pixels(photo), mask, soft)
            else:
                data = mask_png(mask)
        elif kind in FILE_FORMATS:
            classes = ClassList.from_json(query.get("classes"))
            tolerance = query.get("tolerance", 0)
            objects = self._objects(embedding, query)
            name, data = export_file(
                kind, self._pixels(photo), objects, photo.file_name, soft, classes, tolerance
            )
        else:
            raise PromptError("This kind of file cannot be exported. Reload the page.")
        return {"path": str(new_file(photo.folder, name, data)), "name": name, **more}

    @answering
    def masks(self, query: Mapping[str, Any]) -> Reply:
        """The masks of all `objects` at the photo's own size, as `export` would write them.

        The reply has `rles`, and `predicted_ious` with null for objects without one, in the order
        of the objects; `exclusive` is as in `export`. With `tolerance` it has instead `vertices`,
        how many the polygons have together, exact and simplified.
        """
        objects = self._objects(self._embedding(self.photos.get(query.get("token"))), query)
        if "tolerance" in query:
            tolerances = (0, checked_tolerance(query["tolerance"]))
            return {"vertices": [count_vertices(objects, tolerance) for tolerance in tolerances]}
        return {
            "rles": [item.rle for item in objects],
            "predicted_ious": [item.predicted_iou for item in objects],
        }

    @answering
    def combine(self, query: Mapping[str, Any]) -> Reply:
        """The `rles` that an `operation` on the `objects` gives, see `combine_masks`."""
        objects = self._objects(self._embedding(self.photos.get(query.get("token"))), query)
        masks = combine_masks(objects, query.get("operation"))  # type: ignore[arg-type]
        return {"rles": [mask_to_coco_rle(mask) for mask in masks]}

    async def dataset(self, query: Any, tab: str) -> Reply:
        """Writes a data set of many photos in several calls, each of which may be repeated.

        The first call has `format`, one of DATASET_FORMATS; `classes`, a list of names; `split`,
        the shares of train, val and test; `seed`; `tolerance`, see `export`; and `photos`, a key
        for each photo, such as the digest of its content. The reply has an id, `dataset`.

        The next calls have `dataset`; `n`, the place of a photo among the keys; and `photo`, its
        `name`, `size`, [H, W], and `objects`, [{"name", "rle", "predicted_iou"}, ...]. To include
        the photo it has the `path` of an upload, or the `token` of an open photo; the reply is
        `expired` if the server does not have the file. The reply has the number of `photos`.

        The last call has `dataset` and `finish`. Its reply has `path`, `name`, `photos` and
        `objects`.
        """
        work = functools.partial(answered, "dataset", query, lambda: self._dataset(query, tab))
        try:
            reply = await self._queues.full_size.run(work)
        except BusyError as error:
            return refusal("dataset", query, error)
        asyncio.get_running_loop().call_later(SILENCE_S + 1, self.datasets.close_silent)
        return reply

    @answering
    def read_classes(self, query: Mapping[str, Any]) -> Reply:
        """The class `names` in the `text` of a file called `name`, see `read_class_names`."""
        text, name = query.get("text"), query.get("name")
        if not (isinstance(text, str) and isinstance(name, str)):
            raise PromptError("The server does not understand the request. Reload the page.")
        return {"names": read_class_names(text, name)}

    @answering
    def load_masks(self, query: Mapping[str, Any]) -> Reply:
        """The objects in the `text` of a mask file, with masks at the photo's own size.

        The reply has `skipped`, the number of objects that cannot be used by their `reason`.
        """
        photo = self.photos.get(query.get("token"))
        size_hw = self._embedding(photo).original_size
        return objects_from_file(query.get("text"), size_hw, photo.file_name)

    @answering
    def import_annotations(self, query: Mapping[str, Any]) -> Reply:
        """The objects of several photos in an upload, which is removed; see `imported_objects`."""
        path = checked_upload(query.get("path"))
        try:
            max_pixels = self._model.result().settings.limits.max_pixels
            return imported_objects(path.read_bytes(), query, max_pixels)
        finally:
            path.unlink(missing_ok=True)

    @answering
    def preview(self, query: Mapping[str, Any]) -> Reply:
        """The photo as the model sees it, for files that browsers show otherwise or not at all."""
        photo = self._pixels(self.photos.get(query.get("token")))
        height, width = _fitted(photo.size_hw, _PREVIEW_SIDE)
        return {"url": jpeg_url(Image.fromarray(photo.pixels).resize((width, height)))}

    @answering
    def close(self, query: Mapping[str, Any]) -> Reply:
        """Closes photos that the page does not need any more, by their `tokens`."""
        tokens = query.get("tokens")
        for token in tokens[:MAX_OPEN_PHOTOS] if isinstance(tokens, list) else ():
            with suppress(ExpiredError):
                self.photos.close(self.photos.get(token))
        return {}

    async def unload(self, request: gr.Request) -> None:
        """Closes all photos and data sets of a tab that was closed."""
        await to_thread.run_sync(self.datasets.close_tab, request.session_hash)
        closed = self.photos.of_session(request.session_hash)
        for photo in closed:
            self.photos.close(photo)
        if closed and not self.photos:
            await to_thread.run_sync(return_free_memory)

    def _admit(self, query: Mapping[str, Any], session: str) -> PhotoSession:
        """Moves an upload to its own folder and queues it under a new token."""
        path, name = query.get("path"), query.get("name")
        if not (isinstance(path, str) and isinstance(name, str)):
            raise PromptError("The server does not understand the request. Reload the page.")
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
            if self._queues.photos.is_idle(0) and self._queues.clicks.is_idle(_IDLE_S):
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
        if not segmenter.cached_crop(self._embedding(session), crop):
            segmenter.encode_photo(self._pixels(session), crop)
            self._trim_memory()
        return {}

    def _encode(self, session: PhotoSession) -> Reply:
        """Encodes a photo, or finds its embedding in the cache."""
        segmenter = self._model.result()
        photo = self._pixels(session)
        started_at = time.perf_counter()
        embedding, was_cached = segmenter.encode_photo(photo)
        elapsed_ms = 1000 * (time.perf_counter() - started_at)
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
        }

    def _dataset(self, query: Mapping[str, Any], tab: str) -> Reply:
        """Starts, continues or finishes a data set."""
        if not self._model.done():
            raise BusyError("The model is still loading. Try again in a minute.")
        if "dataset" not in query:
            dataset = DatasetSession(query, self._files / secrets.token_hex(24), tab)
            self.datasets.add(dataset)
            return {"dataset": dataset.id}
        dataset = self.datasets.get(query["dataset"])
        if query.get("finish"):
            return dataset.finish()
        self.datasets.check_room()
        max_pixels = self._model.result().settings.limits.max_pixels
        return dataset.add(query.get("n"), query.get("photo"), max_pixels, self._photo_file)

    @contextmanager
    def _photo_file(self, sent: SentPhoto) -> Iterator[Path | None]:
        """The file of a photo of a data set, if it is to be included; removes an upload then."""
        if sent.token is not None:
            opened = self.photos.get(sent.token)
            self._check_file(opened)
            yield opened.path
        elif sent.path is not None:
            upload = checked_upload(sent.path)
            yield upload
            upload.unlink(missing_ok=True)
        else:
            yield None

    def _check_file(self, photo: PhotoSession) -> None:
        if not photo.path.is_file():
            raise ExpiredError("The server no longer has this photo. Open it again.")

    def _trim_memory(self) -> None:
        """To be called after every encode."""
        self._encodes += 1
        if self._encodes % _TRIM_EVERY == 0:
            return_free_memory()

    def _embedding(self, photo: PhotoSession) -> mobilesam.ImageEmbedding:
        embedding = photo.embedding_key and self._model.result().cached(photo.embedding_key)
        if not embedding:
            raise ExpiredError("The photo must be encoded again. Open it again.")
        return embedding

    def _pixels(self, photo: PhotoSession) -> Photo:
        self._check_file(photo)
        return self._model.result().open(photo.path)

    def _answer(self, embedding: mobilesam.ImageEmbedding, query: Mapping[str, Any]) -> Answer:
        interactions = parse_interactions(query.get("interactions"))
        return self._model.result().answer(embedding, interactions)

    def _objects(
        self, embedding: mobilesam.ImageEmbedding, query: Mapping[str, Any]
    ) -> list[PhotoObject]:
        return objects_to_export(
            self._model.result(), embedding, query.get("objects"), query.get("exclusive")
        )

    def _mask(self, embedding: mobilesam.ImageEmbedding, query: Mapping[str, Any]) -> Mask:
        """The mask of all objects together, or of the interactions, at the photo's own size."""
        if "objects" in query:
            return union_mask(self._objects(embedding, query))
        return self._answer(embedding, query).mask(clean=is_clean(query))

    def _start_generation(self, photo: PhotoSession, options: Any) -> str:
        segmenter = self._model.result()
        checked = segmenter.everything_options(options)
        steps = segmenter.iter_everything(self._embedding(photo), checked)
        if photo.generation:
            photo.generation.stop()
        photo.generation = MaskGeneration(steps)
        return photo.generation.id

    def _generation(self, photo: PhotoSession, query: Mapping[str, Any]) -> MaskGeneration:
        generation = photo.generation
        if generation is None or generation.id != query.get("generation"):
            raise ExpiredError("The server no longer has these masks. Find them again.")
        return generation


def jpeg_url(image: Image.Image) -> str:
    """An image as a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _fitted(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    return scaled_size(size_hw, min(long_side, max(size_hw)))


def _candidates(answer: Answer, clean: bool) -> list[dict[str, Any]]:
    """Thumbnail of the mask with each candidate, and predicted IoU, if there are several."""
    prediction = answer.prediction
    if prediction is None or len(prediction.iou_predictions) < 2:
        return []
    thumbnail_hw = _fitted(prediction.original_size, THUMBNAIL_SIDE)
    return [
        {
            "predicted_iou": round(float(iou), 3),
            "rle": mask_to_coco_rle(replace(answer, index=index).mask(thumbnail_hw, clean)),
        }
        for index, iou in enumerate(prediction.iou_predictions)
    ]
