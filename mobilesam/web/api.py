"""The HTTP endpoint /segment, for gradio_client, curl and other programs."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.data_classes import ImageData

from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.masks import mask_area, mask_bbox_xywh, mask_to_coco_rle
from mobilesam.prompts import prompt_from_rows
from mobilesam.web.uploads import checked_upload

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.predict import Prediction
    from mobilesam.segmenter import Segmenter


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
        try:
            if image is None:
                raise ImageError("Send a photo.")
            if not (multimask is None or isinstance(multimask, bool)):
                raise PromptError("multimask is true, false or null.")
            segmenter = model.result()
            embedding = segmenter.encode(checked_upload(image))
            prompt = prompt_from_rows(points, box)
            return _to_json(segmenter.predict(embedding, prompt, multimask_output=multimask))
        except MobileSamError as error:
            raise gr.Error(str(error), print_exception=False) from error

    photo = PhotoFile(visible=False, label="image")
    points, box, multimask = (
        JsonInput(visible=False, label=label) for label in ("points", "box", "multimask")
    )
    points.example = [[320, 240, 1]]
    masks = gr.JSON(visible=False, label="masks")
    run = gr.Button(visible=False)
    run.click(
        segment, [photo, points, box, multimask], masks, api_name="segment", concurrency_limit=2
    )


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
