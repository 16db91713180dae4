"""The conversation between page and segmenter: JSON in, JSON out, never an exception."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.export import FILE_FORMATS, cutout_png, export_file, mask_png
from mobilesam.images import Photo, scaled_size
from mobilesam.interactions import Answer, parse_interactions
from mobilesam.masks import CocoRle, mask_area, mask_to_coco_rle, rle_area
from mobilesam.objects import PhotoObject
from mobilesam.runtime import return_free_memory
from mobilesam.web.page.mask_generations import MaskGenerations
from mobilesam.web.page.object_payload import kept_objects, read_masks
from mobilesam.web.page.photo_sessions import PhotoSession, PhotoSessions
from mobilesam.web.server.replies import BusyError, ExpiredError, Reply, answering
from mobilesam.web.server.request_log import waiting
from mobilesam.web.server.uploads import checked_upload, upload_stamp

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter

DISPLAY_SIDES = (64, 1024)
THUMBNAIL_SIDE = 96
PREVIEW_SIDE = 1600
MODEL_TIMEOUT_S = 60.0
TIDY_EVERY = 50
"""Photos: what they leave free between them serves the next ones ever less. It costs 1% of them."""


class PageHandlers:
    """Opens photos, answers clicks and makes files, for all visitors of one page."""

    def __init__(self, model: Future[Segmenter], files: Path) -> None:
        """Serves a segmenter.

        Args:
            model: the segmenter, or the promise of one: until it is there, visitors wait.
            files: a folder from which the web server hands out files.
        """
        self._model = model
        self._files = files
        self._runs = MaskGenerations()
        self._photos = PhotoSessions(on_close=self._runs.forget)
        self._encoded = itertools.count(1)

    @property
    def _segmenter(self) -> Segmenter:
        try:
            with waiting():
                return self._model.result(MODEL_TIMEOUT_S)
        except TimeoutError:
            raise BusyError("The model is still being loaded; try again in a moment.") from None

    @property
    def open_photos(self) -> int:
        """How many photos visitors have open."""
        return len(self._photos)

    @answering
    def about(self, _query: Mapping[str, Any]) -> Reply:
        """What answers here, once it is loaded: device, weights, why these, and what suits them."""
        segmenter = self._segmenter
        return {
            "device": "GPU" if segmenter.device.type != "cpu" else "CPU",
            "weights": segmenter.weights.kind,
            "reason": segmenter.weights.reason,
            "everything": asdict(segmenter.everything_options({})),
        }

    @answering
    def admit(self, query: Mapping[str, Any]) -> Reply:
        """Gives an upload a token, by which it can be opened when its turn comes.

        It is the visitor's from here on, so that who leaves while it waits takes it along.
        The query comes from the web layer, not from the page: `path` is an upload, `name` what
        the visitor calls it, `visitor` the browser tab's session.
        """
        path = checked_upload(query["path"])
        name = query["name"]
        opened = PhotoSession(
            path,
            upload_stamp(path),
            _safe_name(name),
            Path(name).name,
            self._files / secrets.token_hex(24),
            query["visitor"],
        )
        return {"token": self._photos.add(opened)}

    @answering
    def open(self, query: Mapping[str, Any]) -> Reply:
        """Encodes a photo that was admitted under a token, or finds its embedding."""
        token = query["token"]
        opened = self._photos.get(token)
        try:
            photo = self._segmenter.open(opened.path)
            started = time.perf_counter()
            embedding, cached = self._segmenter.encode_photo(photo)
            elapsed_ms = 1000 * (time.perf_counter() - started)
            self._photos.encoded(token, embedding.key)
        except BaseException:
            self._photos.drop(token)
            raise
        if not cached and next(self._encoded) % TIDY_EVERY == 0:
            return_free_memory()
        return {
            "token": token,
            "size": list(photo.size_hw),
            "ms": round(elapsed_ms),
            "cached": cached,
            "notes": [*photo.notes, *filter(None, [embedding.note])],
            "preview": not photo.browser_agrees,
        }

    @answering
    def segment(self, query: Mapping[str, Any]) -> Reply:
        """The mask so far at display size, with thumbnails where there are several candidates."""
        started = time.perf_counter()
        embedding, answer = self._answer(query)
        elapsed_ms = 1000 * (time.perf_counter() - started)
        display_hw = _fitted(embedding.original_size, _display_side(query.get("side")))
        mask = answer.mask(display_hw)
        return {
            "rle": mask_to_coco_rle(mask),
            "share": round(mask_area(mask) / mask.size, 4),
            "index": answer.index,
            "predicted_iou": _rounded(answer.predicted_iou),
            "candidates": _candidates(answer.prediction),
            "ms": round(elapsed_ms, 1),
        }

    @answering
    def everything(self, query: Mapping[str, Any]) -> Reply:
        """A turn of a run over everything in the photo; the first call begins one.

        `run` is null or what the reply before said, `after` the highest id of a region so far,
        `stop` true to end the run where it is. See `mobilesam.web.page.mask_generations`.
        """
        opened, token, run = self._photos.get(query.get("token")), query["token"], query.get("run")
        if query.get("stop"):
            self._runs.stop(token, run)
            return {}
        if run is None:
            options = query.get("options")
            if not isinstance(options, Mapping):
                raise PromptError("The options are names and numbers.")
            embedding = self._embedding(opened)
            steps = self._segmenter.iter_everything(
                embedding, self._segmenter.everything_options(options)
            )
            display_hw = _fitted(embedding.original_size, _display_side(query.get("side")))
            run = self._runs.start(token, steps, display_hw)
        after = query.get("after")
        return self._runs.advance(token, run, after if isinstance(after, int) else 0)

    @answering
    def regions(self, query: Mapping[str, Any]) -> Reply:
        """The regions of a run by their `ids`, at the photo's own size."""
        self._photos.get(query.get("token"))
        return {"regions": self._runs.regions(query["token"], query.get("run"), query.get("ids"))}

    @answering
    def export(self, query: Mapping[str, Any]) -> Reply:
        """A file at the photo's own size: its path on the server and the name to save it by.

        The kind `"mask"` or `"cutout"` is of the answer to `history`; a file format is of all
        `objects`, with `exclusive` saying which object gets a shared pixel.
        """
        opened = self._photos.get(query.get("token"))
        kind = query.get("kind")
        if kind in ("mask", "cutout"):
            _, answer = self._answer(query)
            name = f"{opened.name}-{kind}.png"
            mask = answer.mask()
            cut = kind == "cutout"
            data = cutout_png(self._reopened(opened), mask) if cut else mask_png(mask)
        elif kind in FILE_FORMATS:
            embedding = self._embedding(opened)
            play = functools.partial(self._segmenter.answer, embedding)
            objects = kept_objects(query.get("objects"), query.get("exclusive"), play)
            name, data = export_file(kind, self._reopened(opened), objects, opened.file_name)
        else:
            raise PromptError("The page offers the files that can be downloaded.")
        # A folder of its own for every file: two downloads in flight never meet.
        folder = opened.folder / secrets.token_hex(8)
        folder.mkdir(parents=True)
        file = folder / name
        try:
            file.write_bytes(data)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return {"path": str(file), "name": name}

    @answering
    def load(self, query: Mapping[str, Any]) -> Reply:
        """The objects in a mask file: an RLE at the photo's own size and one to show, each."""
        opened = self._photos.get(query.get("token"))
        size_hw = self._embedding(opened).original_size
        display_hw = _fitted(size_hw, _display_side(query.get("side")))
        objects = read_masks(query.get("text"), size_hw, opened.file_name)
        loaded = (_loaded(*pair, display_hw) for pair in zip(objects, objects.rles, strict=True))
        return {"objects": list(loaded)}

    @answering
    def preview(self, query: Mapping[str, Any]) -> Reply:
        """The photo as the model sees it, for browsers that would show the file otherwise."""
        opened = self._photos.get(query.get("token"))
        buffer = io.BytesIO()
        photo = self._reopened(opened)
        height, width = _fitted(photo.size_hw, PREVIEW_SIDE)
        Image.fromarray(photo.pixels).resize((width, height)).save(buffer, "JPEG", quality=90)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {"url": f"data:image/jpeg;base64,{data}"}

    def leave(self, visitor: str) -> None:
        """Forgets everything of a visitor whose tab has closed."""
        had_photos = self._photos.leave(visitor)
        if had_photos and not self._photos:  # the last one has gone
            return_free_memory()

    def _answer(self, query: Mapping[str, Any]) -> tuple[ImageEmbedding, Answer]:
        embedding = self._embedding(self._photos.get(query.get("token")))
        return embedding, self._segmenter.answer(
            embedding, parse_interactions(query.get("history"))
        )

    def _embedding(self, opened: PhotoSession) -> ImageEmbedding:
        embedding = self._segmenter.cached(opened.embedding_key)
        if embedding is None:
            raise ExpiredError("The photo's embedding has left the cache; it is encoded again.")
        return embedding

    def _reopened(self, opened: PhotoSession) -> Photo:
        if not opened.path.is_file():
            raise ExpiredError("The server no longer has this photo; it is opened again.")
        return self._segmenter.open(opened.path)


def _fitted(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size itself, or scaled down to a long side."""
    return size_hw if max(size_hw) <= long_side else scaled_size(size_hw, long_side)


def _loaded(item: PhotoObject, rle: CocoRle, display_hw: tuple[int, int]) -> dict[str, Any]:
    shown = Answer(item.size_hw, item.size_hw, edited_mask=item.mask).mask(display_hw)
    return {
        "name": item.name,
        "rle": rle,
        "display": mask_to_coco_rle(shown),
        "share": round(rle_area(rle) / item.mask.size, 4),
        "predicted_iou": item.predicted_iou,
    }


def _candidates(prediction: Prediction | None) -> list[dict[str, Any]]:
    """A thumbnail and the predicted IoU of each, where there is a choice."""
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


def _display_side(side: object) -> int:
    """The long side that the page asks for, within bounds; the largest where it asks for none."""
    smallest, largest = DISPLAY_SIDES
    return min(max(side, smallest), largest) if isinstance(side, int) else largest


def _safe_name(name: str) -> str:
    stem = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:60]
    return stem or "photo"
