"""The HTTP endpoints /segment and /everything, for gradio_client, curl and other programs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
from gradio.data_classes import ImageData

from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.masks import mask_area, mask_bbox_xywh, mask_to_coco_rle
from mobilesam.prompts import prompt_from_rows
from mobilesam.settings import MEGA
from mobilesam.web.uploads import checked_upload

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.everything import MaskRecord
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter

_TIME_LIMIT_S = 120.0
"""How long one /everything may compute."""
_MAX_ANSWER_BYTES = 32 * MEGA

T = TypeVar("T")


class PhotoFile(gr.Image):
    """gr.Image's schema, but the handler gets the uploaded file itself, not decoded by Gradio.

    So the limits and the orientation are those of `mobilesam.images`, as on the page.
    """

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path that the client sent, as it is: `checked_upload` has the last word on it."""
        return payload.path if payload else None

    def get_block_name(self) -> str:
        """The page draws it as gr.Image."""
        return "image"


class JsonInput(gr.JSON):
    """gr.JSON with an example of its own in the API's documentation.

    Attributes:
        example: what the documentation shows.
    """

    example: Any = None

    def example_payload(self) -> Any:
        """The example, as a client sends it."""
        return self.example

    def example_value(self) -> Any:
        """The example, as the handler gets it."""
        return self.example

    def get_block_name(self) -> str:
        """The page draws it as gr.JSON."""
        return "json"


def add_segment_endpoint(model: Future[Segmenter]) -> None:
    """Adds /segment to the Blocks being built.

    Args:
        model: answers the requests; until it is loaded, they wait.
    """

    def segment(image: str | None, points: Any, box: Any, multimask: Any) -> dict[str, Any]:
        """Segments one thing in a photo.

        Args:
            image: the photo.
            points: [[x, y, label], ...] in pixels of the upright photo, label 1 for the thing and 0
                for what is not it; may be empty.
            box: [x0, y0, x1, y1] in pixels of the upright photo, or null.
            multimask: true for three candidates, false for one, null for SAM's rule.

        Returns:
            {"size": [H, W], "masks": [{"rle", "bbox", "area", "predicted_iou"}, ...]}.
        """
        if not (multimask is None or isinstance(multimask, bool)):
            raise PromptError("multimask is true, false or null.")
        segmenter = model.result()
        prompt = prompt_from_rows(points, box)
        embedding = _encode(segmenter, image)
        return _to_json(segmenter.predict(embedding, prompt, multimask_output=multimask))

    photo = PhotoFile(visible=False, label="image")
    points, box, multimask = (
        JsonInput(visible=False, label=label) for label in ("points", "box", "multimask")
    )
    points.example = [[320, 240, 1]]
    masks = gr.JSON(visible=False, label="masks")
    run = gr.Button(visible=False)
    run.click(
        _with_sentences(segment),
        [photo, points, box, multimask],
        masks,
        api_name="segment",
        concurrency_limit=2,
    )


def add_everything_endpoint(model: Future[Segmenter]) -> None:
    """Adds /everything to the Blocks being built; one runs at a time, the others wait.

    Args:
        model: answers the requests; until it is loaded, they wait.
    """

    def everything(image: str | None, options: Any) -> dict[str, Any]:
        """Segments everything in a photo, from a grid of points.

        Args:
            image: the photo.
            options: {"points_per_side", "pred_iou_thresh", "stability_score_thresh",
                "stability_score_offset", "box_nms_thresh", "min_mask_region_area"}, each of which
                may be left out, or null. They mean what SamAutomaticMaskGenerator's mean.

        Returns:
            {"size": [H, W], "masks": [{"rle", "bbox", "area", "predicted_iou", "stability_score"},
            ...]}, the highest predicted IoU first.
        """
        return answer_everything(model.result(), image, options)

    photo = PhotoFile(visible=False, label="image")
    options = JsonInput(visible=False, label="options")
    options.example = {"points_per_side": 16}
    masks = gr.JSON(visible=False, label="masks")
    run = gr.Button(visible=False)
    run.click(
        _with_sentences(everything),
        [photo, options],
        masks,
        api_name="everything",
        concurrency_limit=1,
        concurrency_id="everything",
    )


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


def _with_sentences(handler: Callable[..., T]) -> Callable[..., T]:
    """The handler, its errors turned into those that Gradio shows to the client."""

    @functools.wraps(handler)
    def handle(*args: Any) -> T:
        try:
            return handler(*args)
        except MobileSamError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return handle


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
