"""The server functions of the page: JSON in, JSON out, never an exception."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread
from PIL import Image
from starlette.routing import BaseRoute

import mobilesam
from mobilesam.images import scaled_size
from mobilesam.interactions import Answer, parse_interactions
from mobilesam.masks import mask_to_coco_rle, rle_area
from mobilesam.runtime import return_free_memory
from mobilesam.settings import MEGA
from mobilesam.web.page.browser_decoding import EmbeddingEndpoint, decoding_routes
from mobilesam.web.page.file_handlers import FileHandlers
from mobilesam.web.page.mask_generation import MaskGeneration
from mobilesam.web.page.object_payload import is_clean
from mobilesam.web.page.opening import PhotoOpening
from mobilesam.web.page.photo_sessions import PhotoSession
from mobilesam.web.server.queues import WorkQueues, wait_until_done
from mobilesam.web.server.replies import ExpiredError, Reply, answering

DISPLAY_SIDE = 1024  # the largest long side of a mask to display
THUMBNAIL_SIDE = 96
_MIN_DISPLAY_SIDE = 64
_PREVIEW_SIDE = 1600
_MODEL_INFO_S = 20.0
_MANY_INTERACTIONS = 16  # more take over half a second, if all must be decoded
_EVERYTHING_DEFAULTS = {"min_area_share": 0.01, "mask_nms_thresh": 0.8}
"""Of the page: users look at all masks, and would have to sort out specks and near-duplicates."""
_MAX_GENERATION_BYTES = 256 * MEGA  # of all mask generations together


class PageHandlers:
    """Answers the page of all users.

    Attributes:
        opening: opens photos.
        photos: those that are open.
        files: makes and reads files.
    """

    def __init__(self, model: Future[mobilesam.Segmenter], files: Path, queues: WorkQueues) -> None:
        """The model may still be loading; `files` is a folder that the web server serves."""
        self._model = model
        self._queues = queues
        self.opening = PhotoOpening(model, files, queues)
        self.photos = self.opening.photos
        self.files = FileHandlers(model, files, queues, self.opening)
        self._generating = threading.Lock()

    def server_functions(self) -> list[Callable[..., Awaitable[Reply]]]:
        """The functions that the page can call, each in its queue."""

        # Gradio passes the request where the annotation says so. Its JSON has been read already.
        async def open(query: Any, request: gr.Request) -> Reply:
            body = await request.json()
            return await self.opening.open(query, str(body.get("session_hash")))

        async def encode_crop(query: Any) -> Reply:
            return await self.opening.encode_crop(query)

        async def model_info(query: Any) -> Reply:
            await wait_until_done(self._model, _MODEL_INFO_S)
            return self.model_info(query)

        async def close(query: Any) -> Reply:
            return self.opening.close(query)

        async def dataset(query: Any, request: gr.Request) -> Reply:
            body = await request.json()
            return await self.files.dataset(query, str(body.get("session_hash")))

        clicks = self._queues.clicks.serving(self.segment)
        long_logs = self._queues.long_logs.serving(self.segment)

        async def segment(query: Any) -> Reply:
            log = query.get("interactions") if isinstance(query, dict) else None
            is_long = isinstance(log, list) and len(log) > _MANY_INTERACTIONS
            return await (long_logs if is_long else clicks)(query)

        full_size = (
            self.files.export,
            self.files.masks,
            self.files.combine,
            self.files.import_annotations,
            self.preview,
            self.files.read_classes,
        )
        return [
            open,
            close,
            model_info,
            dataset,
            encode_crop,
            segment,
            self._queues.others.serving(self.everything),
            *map(self._queues.full_size.serving, full_size),
        ]

    def decoding_routes(self) -> list[BaseRoute]:
        """The routes of a page that decodes masks itself."""
        endpoint = EmbeddingEndpoint(
            self._queues.embeddings,
            lambda token: self.opening.embedding(self.photos.get(token)),
        )
        return decoding_routes(self.opening.decoder, endpoint)

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

    @answering
    def segment(self, query: Mapping[str, Any]) -> Reply:
        """The mask for the interactions at display size, and thumbnails of the candidates.

        `clean` in the query, true by default, removes specks and fills small holes.
        """
        started_at = time.perf_counter()
        embedding = self.opening.embedding(self.photos.get(query.get("token")))
        interactions = parse_interactions(query.get("interactions"))
        answer = self._model.result().answer(embedding, interactions)
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
    def preview(self, query: Mapping[str, Any]) -> Reply:
        """The photo as the model sees it, for files that browsers show otherwise or not at all."""
        photo = self.opening.pixels(self.photos.get(query.get("token")))
        height, width = _fitted(photo.size_hw, _PREVIEW_SIDE)
        return {"url": jpeg_url(Image.fromarray(photo.pixels).resize((width, height)))}

    async def unload(self, request: gr.Request) -> None:
        """Closes all photos and data sets of a tab that was closed."""
        await to_thread.run_sync(self.files.datasets.close_tab, request.session_hash)
        closed = self.photos.of_session(request.session_hash)
        for photo in closed:
            self.photos.close(photo)
        if closed and not self.photos:
            await to_thread.run_sync(return_free_memory)

    def _start_generation(self, photo: PhotoSession, options: Any) -> str:
        segmenter = self._model.result()
        checked = segmenter.everything_options(options)
        steps = segmenter.iter_everything(self.opening.embedding(photo), checked)
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
