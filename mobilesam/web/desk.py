"""The conversation between page and segmenter: JSON in, JSON out, never an exception."""

from __future__ import annotations

import base64
import functools
import io
import logging
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export import FILE_FORMATS, cutout_png, export_file, mask_png
from mobilesam.history import Answer, parse_history
from mobilesam.images import Photo, scaled_size
from mobilesam.masks import mask_area, mask_to_coco_rle
from mobilesam.objects import PhotoObject
from mobilesam.web.kept import kept_objects, read_masks
from mobilesam.web.regions import GoneError, RegionRuns
from mobilesam.web.uploads import checked_upload

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter

Reply: TypeAlias = dict[str, Any]

DISPLAY_SIDES = (64, 1024)
THUMBNAIL_SIDE = 96
PREVIEW_SIDE = 1600
MAX_OPEN_PHOTOS = 4096
FULL_SIZE_PLACES = 2
PLACE_TIMEOUT_S = 15.0
MODEL_TIMEOUT_S = 60.0

logger = logging.getLogger(__name__)


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


class ExpiredError(MobileSamError):
    """The server has forgotten the photo or its embedding; the page opens it again by itself."""


class BusyError(MobileSamError):
    """There is no place for one more piece of heavy work just now."""


def _answering(method: Callable[[Desk, Mapping[str, Any]], Reply]) -> Callable[[Desk, Any], Reply]:
    """Turns errors into replies: what a server function raises would reach the page as nothing."""

    @functools.wraps(method)
    def reply(self: Desk, query: Any) -> Reply:
        seq = _sequence_number(query.get("seq")) if isinstance(query, Mapping) else None
        try:
            if not isinstance(query, Mapping):
                raise PromptError("The request is not understood; reload the page.")
            return {"ok": True, "seq": seq, **method(self, query)}
        except (ExpiredError, GoneError) as error:
            return {"ok": False, "seq": seq, "expired": True, "error": str(error)}
        except MobileSamError as error:
            return {"ok": False, "seq": seq, "error": str(error)}
        except Exception:
            logger.exception("%s failed", method.__name__)
            return {
                "ok": False,
                "seq": seq,
                "error": "Something went wrong on the server; your clicks are kept. Try again.",
            }

    return reply


class Desk:
    """Opens photos, answers clicks and makes files, for all visitors of one page."""

    def __init__(self, model: Future[Segmenter], files: Path) -> None:
        """Serves a segmenter.

        Args:
            model: the segmenter, or the promise of one: until it is there, visitors wait.
            files: a folder from which the web server hands out files.
        """
        self._model = model
        self._files = files
        self._photos: OrderedDict[str, OpenPhoto] = OrderedDict()
        self._runs = RegionRuns()
        self._lock = threading.Lock()
        # A photo of 40 megapixels takes hundreds of megabytes while it is decoded or written.
        self._full_size_places = threading.BoundedSemaphore(FULL_SIZE_PLACES)

    @property
    def _segmenter(self) -> Segmenter:
        try:
            return self._model.result(MODEL_TIMEOUT_S)
        except TimeoutError:
            raise BusyError("The model is still being loaded; try again in a moment.") from None

    @_answering
    def about(self, _query: Mapping[str, Any]) -> Reply:
        """What answers here, once it is loaded: device, weights, why these, and what suits them."""
        segmenter = self._segmenter
        return {
            "device": "GPU" if segmenter.device.type != "cpu" else "CPU",
            "weights": segmenter.weights.kind,
            "reason": segmenter.weights.reason,
            "everything": asdict(segmenter.everything_options({})),
        }

    @_answering
    def open(self, query: Mapping[str, Any]) -> Reply:
        """Encodes a photo, or finds its embedding, and gives it a token.

        The query comes from the web layer, not from the page: `path` is an upload, `name` what
        the visitor calls it, `visitor` the browser tab's session.
        """
        path = checked_upload(query["path"])
        with self._full_size_work():
            photo = self._segmenter.open(path)
        started = time.perf_counter()
        embedding, cached = self._segmenter.encode_photo(photo)
        elapsed_ms = 1000 * (time.perf_counter() - started)
        token = secrets.token_urlsafe(24)
        opened = OpenPhoto(
            path,
            _safe_name(query["name"]),
            Path(query["name"]).name,
            embedding.key,
            self._files / secrets.token_hex(24),
            query["visitor"],
        )
        with self._lock:
            self._photos[token] = opened
            forgotten = {}
            while len(self._photos) > MAX_OPEN_PHOTOS:
                oldest, photo_left = self._photos.popitem(last=False)
                forgotten[oldest] = photo_left
        self._clean_up(forgotten)
        return {
            "token": token,
            "size": list(photo.size_hw),
            "ms": round(elapsed_ms),
            "cached": cached,
            "notes": list(photo.notes),
            "preview": not photo.browser_agrees,
        }

    @_answering
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

    @_answering
    def everything(self, query: Mapping[str, Any]) -> Reply:
        """A turn of a run over everything in the photo; the first call begins one.

        `run` is null or what the reply before said, `after` the highest id of a region so far,
        `stop` true to end the run where it is. See `mobilesam.web.regions`.
        """
        opened, token, run = self._opened(query), query["token"], query.get("run")
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

    @_answering
    def regions(self, query: Mapping[str, Any]) -> Reply:
        """The regions of a run by their `ids`, at the photo's own size."""
        self._opened(query)
        return {"regions": self._runs.regions(query["token"], query.get("run"), query.get("ids"))}

    @_answering
    def export(self, query: Mapping[str, Any]) -> Reply:
        """A file at the photo's own size: its path on the server and the name to save it by.

        The kind `"mask"` or `"cutout"` is of the answer to `history`; a file format is of all
        `objects`, see `mobilesam.web.kept`, with `exclusive` saying who gets a shared pixel.
        """
        opened = self._opened(query)
        kind = query.get("kind")
        if kind in ("mask", "cutout"):
            _, answer = self._answer(query)
            name = f"{opened.name}-{kind}.png"
            with self._full_size_work():
                mask = answer.mask()
                cut = kind == "cutout"
                data = cutout_png(self._reopened(opened), mask) if cut else mask_png(mask)
        elif kind in FILE_FORMATS:
            embedding = self._embedding(opened)
            play = functools.partial(self._segmenter.answer, embedding)
            with self._full_size_work():
                objects = kept_objects(query.get("objects"), query.get("exclusive"), play)
                photo = self._reopened(opened)
                name, data = export_file(kind, photo, objects, opened.file_name)
        else:
            raise PromptError("The page offers the files that can be downloaded.")
        # A folder of its own for every file: two downloads in flight never meet.
        folder = opened.folder / secrets.token_hex(8)
        folder.mkdir(parents=True)
        file = folder / name
        file.write_bytes(data)
        return {"path": str(file), "name": name}

    @_answering
    def load(self, query: Mapping[str, Any]) -> Reply:
        """The objects in a mask file: an RLE at the photo's own size and one to show, each."""
        opened = self._opened(query)
        size_hw = self._embedding(opened).original_size
        display_hw = _fitted(size_hw, _display_side(query.get("side")))
        with self._full_size_work():
            objects = read_masks(query.get("text"), size_hw, opened.file_name)
            return {"objects": [_loaded(item, display_hw) for item in objects]}

    @_answering
    def preview(self, query: Mapping[str, Any]) -> Reply:
        """The photo as the model sees it, for browsers that would show the file otherwise."""
        opened = self._opened(query)
        buffer = io.BytesIO()
        with self._full_size_work():
            photo = self._reopened(opened)
            height, width = _fitted(photo.size_hw, PREVIEW_SIDE)
            Image.fromarray(photo.pixels).resize((width, height)).save(buffer, "JPEG", quality=90)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {"url": f"data:image/jpeg;base64,{data}"}

    def leave(self, visitor: str) -> None:
        """Forgets everything of a visitor whose tab has closed."""
        with self._lock:
            tokens = [token for token, photo in self._photos.items() if photo.visitor == visitor]
            gone = {token: self._photos.pop(token) for token in tokens}
        self._clean_up(gone)

    def _clean_up(self, photos: Mapping[str, OpenPhoto]) -> None:
        """Removes what was made from photos that are no longer open."""
        self._runs.forget(photos)
        for photo in photos.values():
            shutil.rmtree(photo.folder, ignore_errors=True)

    @contextmanager
    def _full_size_work(self) -> Iterator[None]:
        """A place for work on a whole photo, so that the memory it takes is bounded."""
        if not self._full_size_places.acquire(timeout=PLACE_TIMEOUT_S):
            raise BusyError("Too many photos are being worked on; try again in a moment.")
        try:
            yield
        finally:
            self._full_size_places.release()

    def _opened(self, query: Mapping[str, Any]) -> OpenPhoto:
        token = query.get("token")
        with self._lock:
            opened = self._photos.get(token) if isinstance(token, str) else None
            if opened is None:
                raise ExpiredError("The server no longer has this photo; it is opened again.")
            self._photos.move_to_end(token)  # type: ignore[arg-type]
            return opened

    def _answer(self, query: Mapping[str, Any]) -> tuple[ImageEmbedding, Answer]:
        embedding = self._embedding(self._opened(query))
        return embedding, self._segmenter.answer(embedding, parse_history(query.get("history")))

    def _embedding(self, opened: OpenPhoto) -> ImageEmbedding:
        embedding = self._segmenter.cached(opened.embedding_key)
        if embedding is None:
            raise ExpiredError("The photo's embedding has left the cache; it is encoded again.")
        return embedding

    def _reopened(self, opened: OpenPhoto) -> Photo:
        if not opened.path.is_file():
            raise ExpiredError("The server no longer has this photo; it is opened again.")
        return self._segmenter.open(opened.path)


def _fitted(size_hw: tuple[int, int], long_side: int) -> tuple[int, int]:
    """The size itself, or scaled down to a long side."""
    return size_hw if max(size_hw) <= long_side else scaled_size(size_hw, long_side)


def _loaded(item: PhotoObject, display_hw: tuple[int, int]) -> dict[str, Any]:
    shown = Answer(item.size_hw, item.size_hw, taken=item.mask).mask(display_hw)
    return {
        "name": item.name,
        "rle": mask_to_coco_rle(item.mask),
        "display": mask_to_coco_rle(shown),
        "share": round(mask_area(item.mask) / item.mask.size, 4),
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


def _sequence_number(seq: object) -> int | None:
    """The number that the page counts its queries by; what JSON could not carry back is dropped."""
    return seq if isinstance(seq, int) and abs(seq) < 2**53 else None


def _safe_name(name: str) -> str:
    stem = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:60]
    return stem or "photo"
