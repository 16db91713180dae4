"""The HTTP endpoints /segment and /everything, for gradio_client, curl and other programs."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import ImageData
from gradio_client.utils import is_http_url_like

from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.masks import mask_area, mask_bbox_xywh, mask_to_coco_rle
from mobilesam.prompts import prompt_from_rows
from mobilesam.settings import MEGA, ImageLimits
from mobilesam.web.server.queues import WorkQueue, WorkQueues
from mobilesam.web.server.remote_image import fetch_photo
from mobilesam.web.server.replies import BusyError
from mobilesam.web.server.request_log import Request
from mobilesam.web.server.uploads import UploadsOnly, checked_upload

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.everything import MaskRecord
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter

_TIME_LIMIT_S = 120.0
"""How long one /everything may compute."""
_MAX_ANSWER_BYTES = 32 * MEGA

_NUMBERS = {"type": "array", "items": {"type": "number"}}

T = TypeVar("T")


class PhotoFile(gr.Image):
    """gr.Image's schema, but the handler gets the uploaded file itself, not decoded by Gradio.

    So the limits and the orientation are those of `mobilesam.images`, as on the page.

    Attributes:
        max_bytes: of a photo that is fetched from an address; uploads have Gradio's own limit.
        queue: in which addresses are fetched.
    """

    max_bytes = ImageLimits().max_bytes
    queue: WorkQueue

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path that the client sent, as it is: `checked_upload` has the last word on it."""
        return payload.path if payload else None

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        """The path of an upload, or of what was fetched from the address that a client sent."""
        if not is_http_url_like(url_or_file_path or ""):
            return await super().async_move_resource_to_block_cache(url_or_file_path)
        try:
            async with self.queue.turn():
                return str(await fetch_photo(str(url_or_file_path), self.max_bytes))
        except (ImageError, BusyError) as error:
            raise _shown_error(str(error)) from error

    def get_block_name(self) -> str:
        """The page draws it as gr.Image."""
        return "image"


class JsonInput(UploadsOnly, gr.JSON):
    """gr.JSON with an example and a schema of its own in the API's documentation.

    gr.JSON's own schema is none: whoever checks arguments by it, as MCP does, refuses all.

    Attributes:
        example: what the documentation shows.
        schema: JSON schema of what is accepted.
    """

    example: Any = None
    schema: Mapping[str, Any] = {}

    def api_info(self) -> dict[str, Any]:
        """The schema; it is looser than the checks, whose sentences say more."""
        return dict(self.schema)

    def example_payload(self) -> Any:
        """The example, as a client sends it."""
        return self.example

    def example_value(self) -> Any:
        """The example, as the handler gets it."""
        return self.example

    def get_block_name(self) -> str:
        """The page draws it as gr.JSON."""
        return "json"


def photo_input(limits: ImageLimits, fetches: WorkQueue) -> PhotoFile:
    """The endpoints' first argument.

    Args:
        limits: what a photo may be at most.
        fetches: the queue in which addresses are fetched.
    """
    photo = PhotoFile(visible=False, label="image")
    photo.max_bytes = limits.max_bytes
    photo.queue = fetches
    return photo


def add_segment_endpoint(model: Future[Segmenter], limits: ImageLimits, queues: WorkQueues) -> None:
    """Adds /segment to the Blocks being built.

    Args:
        model: answers the requests; until it is loaded, they wait.
        limits: what a photo may be at most.
        queues: in which requests are answered.
    """

    # Clients show these docstrings, and of an argument the first line alone.
    def segment(
        image: str | None, points: Any = None, box: Any = None, multimask: Any = None
    ) -> dict[str, Any]:
        """Segments one thing in a photo: give points on it, a box round it, or both.

        One point alone can mean several things, and gets three candidates. A mask is a COCO RLE,
        its bbox is [x, y, width, height], and predicted_iou is the model's own estimate of it.

        Args:
            image: the photo.
            points: [[x, y, label], ...] in pixels; label 1: on the thing, 0: not on it.
            box: [x0, y0, x1, y1] in pixels, or null.
            multimask: true for three candidates, false for one, null for SAM's rule.

        Returns:
            {"size": [H, W], "masks": [{"rle", "bbox", "area", "predicted_iou"}, ...]}
        """
        if not (multimask is None or isinstance(multimask, bool)):
            raise PromptError("multimask is true, false or null.")
        segmenter = model.result()
        prompt = prompt_from_rows(points, box)
        embedding = _encode(segmenter, image)
        return _to_json(segmenter.predict(embedding, prompt, multimask_output=multimask))

    photo = photo_input(limits, queues.fetches)
    points, box, multimask = (
        JsonInput(visible=False, label=label) for label in ("points", "box", "multimask")
    )
    points.example = [[320, 240, 1]]
    points.schema = _or_null({"type": "array", "items": _NUMBERS})
    box.schema = _or_null(_NUMBERS)
    multimask.schema = _or_null({"type": "boolean"})
    masks = gr.JSON(visible=False, label="masks")
    add_endpoint(segment, queues.full_size, [photo, points, box, multimask], masks)


def add_everything_endpoint(
    model: Future[Segmenter], limits: ImageLimits, queues: WorkQueues
) -> None:
    """Adds /everything to the Blocks being built.

    Args:
        model: answers the requests; until it is loaded, they wait.
        limits: what a photo may be at most.
        queues: in which requests are answered.
    """

    def everything(image: str | None, options: Any = None) -> dict[str, Any]:
        """Segments everything in a photo, from a grid of points; the best masks come first.

        The options are points_per_side, pred_iou_thresh, stability_score_thresh,
        stability_score_offset, box_nms_thresh and min_mask_region_area, each of which may be left
        out. They mean what SamAutomaticMaskGenerator's mean.

        Args:
            image: the photo.
            options: such as {"points_per_side": 16}, or null.

        Returns:
            {"size": [H, W], "masks": [{"rle", "bbox", "area", ..., "stability_score"}, ...]}
        """
        return answer_everything(model.result(), image, options)

    photo = photo_input(limits, queues.fetches)
    options = JsonInput(visible=False, label="options")
    options.example = {"points_per_side": 16}
    options.schema = _or_null({"type": "object"})
    masks = gr.JSON(visible=False, label="masks")
    add_endpoint(everything, queues.everything, [photo, options], masks)


def answer_everything(segmenter: Segmenter, image: str | None, options: Any) -> dict[str, Any]:
    """The answer of /everything, within bounds of time and size.

    Args:
        segmenter: answers.
        image: the path of an upload.
        options: a visitor's JSON.

    Raises:
        ImageError: the photo cannot be used.
        PromptError: an option cannot be used, the run takes too long, or the answer is too large.
    """
    if not (options is None or isinstance(options, dict)):
        raise PromptError('options is an object like {"points_per_side": 16}, or null.')
    checked = segmenter.everything_options(options or {})
    embedding = _encode(segmenter, image)
    started = time.monotonic()
    records: Sequence[MaskRecord] = []
    for step in segmenter.iter_everything(embedding, checked):
        records = step.records  # at each step, so that the limit bounds the clean-up too
        if time.monotonic() - started > _TIME_LIMIT_S:
            raise PromptError(
                f"This takes longer than {_TIME_LIMIT_S:g} s; use fewer points per side or "
                "higher thresholds."
            )
    if sum(len(record.rle["counts"]) for record in records) > _MAX_ANSWER_BYTES:
        raise PromptError("There are too many regions for one answer; raise the thresholds.")
    return {
        "size": list(embedding.original_size),
        "masks": [_record_to_json(record) for record in records],
    }


def add_endpoint(
    handler: Callable[..., Any], queue: WorkQueue, inputs: Sequence[Component], output: Component
) -> None:
    """Adds an endpoint of the handler's name to the Blocks being built.

    Args:
        handler: answers a request; its errors become sentences.
        queue: in which it does so.
        inputs: its arguments.
        output: what it returns.
    """
    run = gr.Button(visible=False)
    run.click(
        _in_lane(with_sentences(handler), queue),
        list(inputs),
        output,
        api_name=handler.__name__,
        concurrency_limit=None,  # they wait in their queue
    )


def with_sentences(handler: Callable[..., T]) -> Callable[..., T]:
    """The handler, its errors turned into those that Gradio shows to the client."""

    @functools.wraps(handler)
    def handle(*args: Any) -> T:
        request = Request(handler.__name__)
        try:
            with request.logged():
                return handler(*args)
        except MobileSamError as error:
            raise _shown_error(str(error)) from error
        except Exception as error:
            raise _shown_error(
                "Something went wrong on the server. Try again, or report it with the number "
                f"{request.id}."
            ) from error

    return handle


def _in_lane(handler: Callable[..., T], queue: WorkQueue) -> Callable[..., Awaitable[T]]:
    @functools.wraps(handler)
    async def handle(*args: Any) -> T:
        if queue.is_full:
            raise _shown_error(queue.refusal({})["error"])
        return await queue.run(functools.partial(handler, *args))

    return handle


def _shown_error(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _encode(segmenter: Segmenter, image: str | None) -> ImageEmbedding:
    if image is None:
        raise ImageError("Send a photo.")
    return segmenter.encode(checked_upload(image))


def _to_json(prediction: Prediction) -> dict[str, Any]:
    return {
        "size": list(prediction.original_size),
        "masks": [
            {
                "rle": mask_to_coco_rle(mask),
                "bbox": list(mask_bbox_xywh(mask)),
                "area": mask_area(mask),
                "predicted_iou": float(iou),
            }
            for mask, iou in zip(prediction.masks, prediction.iou_predictions, strict=True)
        ],
    }


def _record_to_json(record: MaskRecord) -> dict[str, Any]:
    x, y, width, height = record.bbox
    return {
        "rle": record.rle,
        # As /segment and COCO count it: the last column and row are in.
        "bbox": [x, y, width + 1, height + 1],
        "area": record.area,
        "predicted_iou": record.predicted_iou,
        "stability_score": record.stability_score,
    }
