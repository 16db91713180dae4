"""Files of photos: exports, masks for data sets, annotation files and data sets themselves."""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from mobilesam.export.classes import DEFAULT_NAME
from mobilesam.export.outlines import checked_tolerance, count_vertices
from mobilesam.interactions import parse_interactions
from mobilesam.masks import Mask, mask_to_coco_rle
from mobilesam.objects import PhotoObject, union_mask
from mobilesam.web.page.dataset_sessions import (
    SILENCE_S,
    DatasetSession,
    DatasetSessions,
    SentPhoto,
)
from mobilesam.web.page.object_payload import imported_objects, is_clean, objects_to_export
from mobilesam.web.page.opening import PhotoOpening, check_file_name
from mobilesam.web.page.photo_sessions import PhotoSession
from mobilesam.web.server.queues import WorkQueues
from mobilesam.web.server.replies import BusyError, Reply, answered, answering, refusal
from mobilesam.web.server.storage import check_size, checked_upload, new_file


class FileHandlers:
    """Makes files of the objects in open photos, and reads annotation files.

    Attributes:
        datasets: the data sets that are being written.
    """

    def __init__(
        self,
        model: Future[mobilesam.Segmenter],
        files: Path,
        queues: WorkQueues,
        opening: PhotoOpening,
    ) -> None:
        """See `PageHandlers`."""
        self._model = model
        self._files = files
        self._queues = queues
        self._opening = opening
        self.datasets = DatasetSessions()

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
        photo = self._photo(query)
        kind, edges = query.get("kind"), query.get("edges")
        if edges not in (None, "soft", "hard"):
            raise PromptError('edges must be "soft" or "hard".')
        soft = edges != "hard"
        more: Reply = {}
        if kind in ("mask", "cutout"):
            mask = self._mask(query)
            name = export_file_name(photo.file_name, f"-{kind}.png")
            if kind == "cutout":
                more["corner"] = list(cutout_bounds_xyxy(mask, soft)[:2])
                data = cutout_png(self._opening.pixels(photo), mask, soft)
            else:
                data = mask_png(mask)
        elif kind in FILE_FORMATS:
            classes = ClassList.from_json(query.get("classes"))
            tolerance = query.get("tolerance", 0)
            objects = self._objects(query)
            name, data = export_file(
                kind,
                self._opening.pixels(photo),
                objects,
                photo.file_name,
                soft,
                classes,
                tolerance,
            )
        else:
            raise PromptError("This kind of file cannot be exported. Reload the page.")
        return {"path": str(new_file(photo.folder, name, data)), "name": name, **more}

    @answering
    def masks(self, query: Mapping[str, Any]) -> Reply:
        """The masks of all `objects` at the photo's own size, as `export` would write them.

        The reply has `rles`, and `predicted_ious` with null for objects without one, in the order
        of the objects; `exclusive` is as in `export`, and names may be blank. With `tolerance` it
        has instead `vertices`, how many the polygons have together, exact and simplified.
        """
        objects = self._objects(query, DEFAULT_NAME)
        if "tolerance" in query:
            tolerances = (0, checked_tolerance(query["tolerance"]))
            return {"vertices": [count_vertices(objects, tolerance) for tolerance in tolerances]}
        return {
            "rles": [item.rle for item in objects],
            "predicted_ious": [item.predicted_iou for item in objects],
        }

    @answering
    def combine(self, query: Mapping[str, Any]) -> Reply:
        """The `rles` that an `operation` on the `objects` gives, see `combine_masks`.

        Their names may be blank.
        """
        objects = self._objects(query, DEFAULT_NAME)
        masks = combine_masks(objects, query.get("operation"))  # type: ignore[arg-type]
        return {"rles": [mask_to_coco_rle(mask) for mask in masks]}

    @answering
    def import_annotations(self, query: Mapping[str, Any]) -> Reply:
        """The objects of several photos in an upload, which is removed; see `imported_objects`."""
        path = checked_upload(query.get("path"))
        try:
            limits = self._model.result().settings.limits
            check_size(path, limits.max_bytes)
            return imported_objects(path.read_bytes(), query, limits.max_pixels)
        finally:
            path.unlink(missing_ok=True)

    @answering
    def read_classes(self, query: Mapping[str, Any]) -> Reply:
        """The class `names` in the `text` of a file called `name`, see `read_class_names`."""
        text, name = query.get("text"), query.get("name")
        if not (isinstance(text, str) and isinstance(name, str)):
            raise PromptError("The server does not understand the request. Reload the page.")
        check_file_name(name)
        return {"names": read_class_names(text, name)}

    async def dataset(self, query: Any, tab: str) -> Reply:
        """Writes a data set of many photos in several calls, each of which may be repeated.

        The first call has `format`, one of DATASET_FORMATS; `classes`, a list of names; `split`,
        the shares of train, val and test; `seed`; `tolerance`, see `export`; and `photos`, a key
        for each photo, such as the digest of its content. The reply has an id, `dataset`.

        The next calls have `dataset`; `n`, the place of a photo among the keys; and `photo`, its
        `name`, `size`, [H, W], and `objects`, [{"name", "rle", "predicted_iou"}, ...]. To include
        the photo it has the `path` of an upload, or the `token` of an open photo. The reply has the
        number of `photos`; it is `expired` if the server has lost the file, or the whole data set.

        The last call has `dataset` and `finish`. Its reply has `path`, `name`, `photos` and
        `objects`.
        """
        work = functools.partial(answered, "dataset", query, lambda: self._dataset(query, tab))
        try:
            reply = await self._queues.full_size.run(work)
        except BusyError as error:
            return refusal("dataset", query, error)
        if reply["ok"]:
            asyncio.get_running_loop().call_later(SILENCE_S + 1, self.datasets.close_silent)
        return reply

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
        max_bytes = self._model.result().settings.limits.max_bytes
        if sent.token is not None:
            file = self._opening.file_of(self._opening.photos.get(sent.token))
            check_size(file, max_bytes)
            yield file
        elif sent.path is not None:
            upload = checked_upload(sent.path)
            check_size(upload, max_bytes)
            yield upload
            upload.unlink(missing_ok=True)
        else:
            yield None

    def _photo(self, query: Mapping[str, Any]) -> PhotoSession:
        return self._opening.photos.get(query.get("token"))

    def _objects(self, query: Mapping[str, Any], default_name: str = "") -> list[PhotoObject]:
        embedding = self._opening.embedding(self._photo(query))
        return objects_to_export(
            self._model.result(),
            embedding,
            query.get("objects"),
            query.get("exclusive"),
            default_name,
        )

    def _mask(self, query: Mapping[str, Any]) -> Mask:
        """The mask of all objects together, or of the interactions, at the photo's own size."""
        if "objects" in query:
            return union_mask(self._objects(query))
        interactions = parse_interactions(query.get("interactions"))
        embedding = self._opening.embedding(self._photo(query))
        return self._model.result().answer(embedding, interactions).mask(clean=is_clean(query))
