"""The HTTP endpoints /segment, /everything and /export, for API clients and MCP."""

import functools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
from gradio.components import Component
from gradio.data_classes import ImageData
from gradio_client.utils import is_http_url_like
from pydantic import BaseModel, Field, TypeAdapter

import mobilesam
from mobilesam.cleanup import clean_mask
from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.everything_options import EverythingOptions
from mobilesam.export import FILE_FORMATS, ClassList, export_file, read_objects
from mobilesam.images import open_photo
from mobilesam.masks import mask_to_json
from mobilesam.prompts import Prompt, prompt_from_rows
from mobilesam.schemas import validate
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.server.queues import WorkQueue, WorkQueues, wait_until_done
from mobilesam.web.server.remote_image import fetch_photo
from mobilesam.web.server.replies import BusyError
from mobilesam.web.server.request_log import logged_request
from mobilesam.web.server.storage import checked_upload, new_file, upload_folder

MODEL_TIMEOUT_S = 60.0
_EVERYTHING_TIMEOUT_S = 120.0
_EXPORT_CPU_S = 30.0
_SEGMENT_CPU_S = 30.0  # of several prompts, without the decoder
MAX_PROMPTS = 100  # in one request
_MAX_REPLY_BYTES = 32 * MEGA

_NUMBERS = {"type": "array", "items": {"type": "number"}}


class PhotoFile(gr.Image):
    """A gr.Image whose handler receives the path of the file, not pixels decoded by Gradio.

    Limits and orientation are therefore those of `mobilesam.images`, as on the page. Uploads have
    Gradio's own size limit; `max_bytes` is for photos that are fetched from URLs, in the `queue`.
    """

    is_template = True  # of gr.Image, whose frontend it uses
    max_bytes: int
    queue: WorkQueue

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path as the client sent it; `checked_upload` decides whether it may be read."""
        return payload.path if payload else None

    async def async_move_resource_to_block_cache(self, place: str | Path | None) -> str | None:
        """The path of an upload, or of a photo that is downloaded from a public URL."""
        if not is_http_url_like(place or ""):
            return await super().async_move_resource_to_block_cache(place)
        try:
            fetch = functools.partial(fetch_photo, str(place), self.max_bytes)
            return str(await self.queue.run(fetch))
        except (ImageError, BusyError) as error:
            raise gr.Error(str(error), print_exception=False) from error


class JsonInput(gr.JSON):
    """A gr.JSON with its own schema, which is looser than the checks of the handler.

    gr.JSON has no schema, so clients that validate arguments, such as MCP's, refuse every value.
    """

    is_template = True  # of gr.JSON, whose frontend it uses
    schema: Mapping[str, Any]
    example: Any

    async def async_move_resource_to_block_cache(self, place: str | Path | None) -> str | None:
        """The path of an upload; URLs are refused.

        Gradio would download every URL in a client's JSON that looks like a file, of any size and
        into memory, before the handler sees the value.
        """
        if is_http_url_like(place or ""):
            raise gr.Error("URLs are not allowed here. Upload the file.", print_exception=False)
        return await super().async_move_resource_to_block_cache(place)

    def api_info(self) -> dict[str, Any]:
        """The schema."""
        return dict(self.schema)

    def example_payload(self) -> Any:
        """The example in the documentation."""
        return self.example


class Endpoints:
    """The endpoints of one application, one method each.

    Clients show the docstrings of the methods, and of each argument the first line.
    """

    def __init__(self, model: Future["mobilesam.Segmenter"], limits: ImageLimits) -> None:
        self._model = model
        self._limits = limits

    def segment(
        self,
        image: str | None,
        points: Any = None,
        box: Any = None,
        multimask: Any = None,
        clean: Any = None,
        prompts: Any = None,
    ) -> dict[str, Any]:
        """Segments one object in a photo: give points on it, a box around it, or both.

        A single point is ambiguous and returns three candidates; best is the index of the default
        one. Each mask is a COCO RLE, its bbox is [x, y, width, height], and predicted_iou is the
        model's estimate of its quality. With prompts, for several objects at once, there is one
        mask for each, in their order: its default candidate. best is null then.

        Args:
            image: the photo.
            points: [[x, y, label], ...] in pixels; label 1: on the object, 0: not on it.
            box: [x0, y0, x1, y1] in pixels, or null.
            multimask: true for three candidates, false for one, null for SAM's default.
            clean: true removes specks and fills small holes; false and null do not.
            prompts: [{"points": [[x, y, label], ...], "box": [x0, y0, x1, y1]}, ...], each with
                points, a box or both, in place of the other two arguments; or null.

        Returns:
            {"size": [H, W], "best": N, "masks": [{"rle", "bbox", "area", "predicted_iou"}, ...]}
        """
        for name, value in (("multimask", multimask), ("clean", clean)):
            if not (value is None or isinstance(value, bool)):
                raise PromptError(f"{name} must be true, false or null.")
        segmenter = self._model.result()
        if prompts is not None:
            if points is not None or box is not None:
                raise PromptError("Give prompts alone, or points and a box for one object.")
            several = _read_prompts(prompts)
            embedding = segmenter.encode(checked_upload(image))
            masks = _default_masks(segmenter, embedding, several, multimask, bool(clean))
            return {"size": list(embedding.original_size), "best": None, "masks": masks}
        prompt = prompt_from_rows(points, box)
        embedding = segmenter.encode(checked_upload(image))
        prediction = segmenter.predict(embedding, prompt, multimask_output=multimask)
        ious = prediction.iou_predictions.tolist()
        return {
            "size": list(prediction.original_size),
            "best": prediction.best,
            "masks": [
                mask_to_json(clean_mask(mask, prompt) if clean else mask, predicted_iou=iou)
                for mask, iou in zip(prediction.masks, ious, strict=True)
            ],
        }

    def everything(self, image: str | None, options: Any = None) -> dict[str, Any]:
        """Segments everything in a photo from a grid of points; the best masks come first.

        The options are points_per_side, pred_iou_thresh, stability_score_thresh,
        stability_score_offset, box_nms_thresh and min_mask_region_area, all optional, with the
        meaning they have in SamAutomaticMaskGenerator; min_area_share drops masks that cover less
        than this share of the photo, and mask_nms_thresh those whose IoU with a better one is
        higher than this (0.8 drops near-duplicates).

        Args:
            image: the photo.
            options: such as {"points_per_side": 16}, or null.

        Returns:
            {"size": [H, W], "masks": [{"rle", "bbox", "area", ..., "stability_score"}, ...]}
        """
        segmenter = self._model.result()
        checked = segmenter.everything_options({} if options is None else options)
        embedding = segmenter.encode(checked_upload(image))
        started = time.monotonic()
        for progress in segmenter.iter_everything(embedding, checked):
            records = progress.records  # in every step, so that the limit includes the filtering
            if time.monotonic() - started > _EVERYTHING_TIMEOUT_S:
                raise PromptError(
                    f"This takes longer than {_EVERYTHING_TIMEOUT_S:g} s. Use fewer points per "
                    "side or higher thresholds."
                )
        if sum(len(record.rle["counts"]) for record in records) > _MAX_REPLY_BYTES:
            raise PromptError("There are too many masks for one reply. Use higher thresholds.")
        return {
            "size": list(embedding.original_size),
            "masks": [
                mask_to_json(
                    record.rle,
                    predicted_iou=record.predicted_iou,
                    stability_score=record.stability_score,
                )
                for record in records
            ],
        }

    def export(
        self,
        image: str | None,
        objects: Any,
        format: Any,
        name: Any = None,
        edges: Any = None,
        classes: Any = None,
        tolerance: Any = None,
    ) -> str:
        """Exports masks of one photo as a file: a picture, cut-outs, or annotations.

        The formats are mask_png (all masks in one black and white picture), index_png (a pixel's
        value is the position of its object in the list), cutouts_zip (transparent PNGs), coco_rle
        and coco_polygons (COCO instances), yolo (a ZIP of data.yaml and labels), labelme, and
        class_png (a ZIP of a picture whose pixels are class ids, and their names).

        Args:
            image: the photo.
            objects: [{"name": text, "rle": a mask of /segment or /everything}, ...]
            format: one of the formats.
            name: the photo's file name in the annotations, or null for the name of the upload.
            edges: of cut-outs. "soft" makes edges two pixels wide, without the colours of the
                background; with "hard" or null a pixel is opaque or transparent.
            classes: [name, ...], all classes in the order of their ids, so that the files of many
                photos agree; or null for the order in which the names occur.
            tolerance: by how many pixels polygons may differ from the masks, which makes them much
                shorter; 0 and null keep them exact.

        Returns:
            The file.
        """
        path = checked_upload(image)
        photo = open_photo(path, self._limits)
        named = read_objects(objects, photo.size_hw, CpuBudget(_EXPORT_CPU_S))
        if edges not in ("soft", "hard", None):
            raise PromptError('edges must be "soft" or "hard", or null.')
        photo_name = _photo_name(name, path, photo.format)
        file_name, data = export_file(
            format,
            photo,
            named,
            photo_name,
            edges == "soft",
            ClassList.from_json(classes),
            0 if tolerance is None else tolerance,
        )
        return str(new_file(upload_folder(), file_name, data))  # removed like an upload


def add_endpoints(
    model: Future["mobilesam.Segmenter"], limits: ImageLimits, queues: WorkQueues
) -> None:
    """Adds /segment, /everything and /export to the Blocks being built."""
    endpoints = Endpoints(model, limits)

    def add(handler: Callable[..., Any], inputs: Sequence[JsonInput], output: Component) -> None:
        photo = PhotoFile(visible=False, label="image")
        photo.max_bytes = limits.max_bytes
        photo.queue = queues.fetches
        # No limit: requests wait in our own queue.
        gr.Button(visible=False).click(
            handler, [photo, *inputs], output, api_name=handler.__name__, concurrency_limit=None
        )

    points = _json_input("points", {"type": "array", "items": _NUMBERS}, [[320, 240, 1]])
    box = _json_input("box", _NUMBERS)
    multimask = _json_input("multimask", {"type": "boolean"})
    clean = _json_input("clean", {"type": "boolean"})
    segment = in_queue(endpoints.segment, queues.segment, model)
    properties = {"points": points.schema, "box": box.schema}
    prompt_schema = {"type": "object", "properties": properties}
    prompts = _json_input("prompts", {"type": "array", "items": prompt_schema})
    add(segment, [points, box, multimask, clean, prompts], gr.JSON(visible=False, label="masks"))

    fields = TypeAdapter(EverythingOptions).json_schema()["properties"]
    types = {name: {"type": field["type"]} for name, field in fields.items()}
    schema = {"type": "object", "properties": types}
    options = _json_input("options", schema, {"points_per_side": 16})
    everything = in_queue(endpoints.everything, queues.everything, model)
    add(everything, [options], gr.JSON(visible=False, label="masks"))

    mask = {"name": "cat", "rle": {"size": [2, 3], "counts": "222"}}
    list_schema = {"type": "array", "items": {"type": "object"}}
    objects = _json_input("objects", list_schema, [mask], is_optional=False)
    format_schema = {"type": "string", "enum": list(FILE_FORMATS)}
    file_format = _json_input("format", format_schema, "coco_rle", is_optional=False)
    name = _json_input("name", {"type": "string"})
    edges = _json_input("edges", {"type": "string", "enum": ["soft", "hard"]})
    export = in_queue(endpoints.export, queues.full_size)
    classes = _json_input("classes", {"type": "array", "items": {"type": "string"}})
    tolerance = _json_input("tolerance", {"type": "number"})
    inputs = [objects, file_format, name, edges, classes, tolerance]
    add(export, inputs, gr.File(visible=False, label="file"))


def _json_input(
    label: str, schema: Mapping[str, Any], example: Any = None, is_optional: bool = True
) -> JsonInput:
    argument = JsonInput(visible=False, label=label)
    argument.schema = {"anyOf": [schema, {"type": "null"}]} if is_optional else schema
    argument.example = example
    return argument


def in_queue(
    handler: Callable[..., Any], queue: WorkQueue, model: Future[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    """Runs a handler in a queue, and turns its errors into those that Gradio shows to clients.

    Before they are queued, requests wait for the model, but no longer than MODEL_TIMEOUT_S.
    """

    def work(*args: Any) -> Any:
        with logged_request(handler.__name__):
            return handler(*args)

    @functools.wraps(handler)
    async def handle(*args: Any) -> Any:
        try:
            if model and not await wait_until_done(model, MODEL_TIMEOUT_S):
                raise BusyError("The model is still loading. Try again in a minute.")
            return await queue.run(functools.partial(work, *args))
        except MobileSamError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return handle


class _SentPrompt(BaseModel, extra="forbid"):
    points: Any = None  # `prompt_from_rows` validates points and box
    box: Any = None


_SENT_PROMPTS = TypeAdapter(
    Annotated[list[_SentPrompt], Field(strict=True, min_length=1, max_length=MAX_PROMPTS)]
)


def _read_prompts(raw: object) -> list[Prompt]:
    rows = validate(_SENT_PROMPTS, raw, name="prompts")
    prompts = []
    for index, sent in enumerate(rows):
        try:
            prompts.append(prompt_from_rows(sent.points, sent.box))
        except PromptError as error:
            raise PromptError(f"prompts[{index}]: {error}") from None
    return prompts


def _default_masks(
    segmenter: "mobilesam.Segmenter",
    embedding: "mobilesam.ImageEmbedding",
    prompts: Sequence[Prompt],
    multimask: bool | None,
    clean: bool,
) -> list[dict[str, Any]]:
    """The mask of the default candidate for each prompt, as JSON."""
    budget = CpuBudget(_SEGMENT_CPU_S)
    masks: list[dict[str, Any]] = []
    reply_bytes = 0
    for prompt in prompts:
        budget.check()
        prediction = segmenter.predict(embedding, prompt, multimask_output=multimask)
        mask = prediction.mask(prediction.best)
        iou = float(prediction.iou_predictions[prediction.best])
        masks.append(mask_to_json(clean_mask(mask, prompt) if clean else mask, predicted_iou=iou))
        reply_bytes += len(masks[-1]["rle"]["counts"])
        if reply_bytes > _MAX_REPLY_BYTES:
            raise PromptError(
                "The masks are too large for one reply. Send fewer prompts at a time."
            )
    return masks


def _photo_name(name: object, path: Path, photo_format: str) -> str:
    """The photo's file name with an extension; JavaScript clients name their uploads "blob"."""
    if name is None:
        name = path.name if path.suffix else "photo"
    if not isinstance(name, str):
        raise PromptError("name must be the photo's file name, or null.")
    return name if Path(name).suffix else f"{name}.{photo_format.lower().replace('jpeg', 'jpg')}"
