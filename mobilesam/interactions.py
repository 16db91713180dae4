"""The log of a user's interactions with a photo, and the mask that follows from it.

The page sends the whole log with every request. The answer depends on the log alone: undo sends a
shorter log, and the server keeps no state of a user's corrections.
"""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasPath, FailFast, Field, TypeAdapter

from mobilesam.cleanup import clean_mask
from mobilesam.errors import PromptError
from mobilesam.frame import Crop, CropXYXY, Frame, checked_crop
from mobilesam.masks import MAX_RLE_LENGTH, Mask, mask_from_coco_rle, scaled_mask
from mobilesam.paint import Stroke, logits_size, mask_logits, painted, painted_logits
from mobilesam.prompts import MAX_POINTS, Box, Prompt, check_inside
from mobilesam.schemas import Label, Number, WholeNumber, validate

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.predict import Prediction

MAX_INTERACTIONS = 200
MAX_PATH_POINTS = 20_000
"""Points of all strokes together."""
MAX_PAINTED_PX = 4e9
"""Cost of all strokes in pixels, see `painted_px`: about half a second of work."""
_TOO_MANY_STROKES = "There are too many brush strokes. Undo some of them."


@dataclass(frozen=True)
class AddPoint:
    """A click on the upright photo, in pixels."""

    x: Number
    y: Number
    label: Label
    type: Literal["point"] = "point"


@dataclass(frozen=True)
class SetBox:
    """A box in pixels of the upright photo; it replaces an earlier one."""

    box: Box
    type: Literal["box"] = "box"


@dataclass(frozen=True)
class ChooseCandidate:
    """The choice of another candidate of the last prediction."""

    index: WholeNumber
    type: Literal["candidate"] = "candidate"


@dataclass(frozen=True)
class SetMask:
    """A mask to edit, as COCO's compressed RLE; it replaces all interactions before it."""

    size_hw: Annotated[
        tuple[WholeNumber, WholeNumber], Field(validation_alias=AliasPath("rle", "size"))
    ]
    counts: Annotated[
        str,
        Field(validation_alias=AliasPath("rle", "counts"), strict=True, max_length=MAX_RLE_LENGTH),
    ]
    type: Literal["mask"] = "mask"


@dataclass(frozen=True)
class SetCrop:
    """A part of the photo, in whole pixels, to answer from; see `crop_of`."""

    box: Crop
    type: Literal["crop"] = "crop"


Interaction: TypeAlias = AddPoint | SetBox | ChooseCandidate | SetMask | SetCrop | Stroke
Interactions: TypeAlias = tuple[Interaction, ...]

_Tagged = Annotated[Interaction, Field(discriminator="type")]
_SCHEMA = TypeAdapter(Annotated[list[_Tagged], Field(strict=True), FailFast()])


def parse_interactions(raw: object) -> Interactions:
    """Reads a log from parsed JSON.

    `raw` is a list of {"type": "point", "x", "y", "label"}, {"type": "box", "box": [x0, y0, x1,
    y1]}, {"type": "candidate", "index"}, {"type": "mask", "rle": {"size", "counts"}},
    {"type": "crop", "box": [x0, y0, x1, y1]} and
    {"type": "stroke", "path": [[x, y], ...], "radius", "label"}.

    Raises:
        PromptError: the input is anything else, or exceeds a limit.
    """
    if isinstance(raw, list) and len(raw) > MAX_INTERACTIONS:
        raise PromptError(
            f"A mask can have at most {MAX_INTERACTIONS} interactions. Clear it and start again."
        )
    interactions = validate(_SCHEMA, raw, name="interactions")
    if sum(isinstance(item, AddPoint) for item in interactions) > MAX_POINTS:
        raise PromptError(f"A prompt can have at most {MAX_POINTS} points.")
    paths = [item.path for item in interactions if isinstance(item, Stroke)]
    if sum(map(len, paths)) > MAX_PATH_POINTS:
        raise PromptError(_TOO_MANY_STROKES)
    return tuple(interactions)


def crop_of(interactions: Interactions, original_size: tuple[int, int]) -> CropXYXY | None:
    """The crop to answer a log from, as XYXY in pixels of the photo; None for the whole photo.

    It is that of the last `SetCrop`, as long as all points and the box lie within: a click beside
    it says that the object is not in the crop alone. A mask to edit is one of the whole photo.

    Raises:
        PromptError: the crop is not within a photo of size (H, W), or too small.
    """
    crops = [item.box for item in interactions if isinstance(item, SetCrop)]
    if not crops:
        return None
    crop = checked_crop(crops[-1], original_size)
    prompt = reduce(_prompt_after, interactions, Prompt())
    is_of_photo = prompt.is_empty or any(isinstance(item, SetMask) for item in interactions)
    return crop if crop and not is_of_photo and prompt.is_within(crop) else None


@dataclass(frozen=True, eq=False)
class Answer:
    """The result of a log.

    Attributes:
        frame: what was encoded.
        prompt: all points and the box.
        prediction: the decoder's candidates; None without a prompt.
        index: of the chosen candidate.
        edited_mask: (H, W), the mask to edit; used as long as there is no prediction.
        strokes: drawn on top.
    """

    frame: Frame
    prompt: Prompt = field(default_factory=Prompt)
    prediction: "Prediction | None" = None
    index: int = 0
    edited_mask: Mask | None = None
    strokes: tuple[Stroke, ...] = ()

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the upright photo."""
        return self.frame.original_size

    @property
    def predicted_iou(self) -> float | None:
        """The decoder's estimate for the chosen candidate; None without a prediction."""
        return float(self.prediction.iou_predictions[self.index]) if self.prediction else None

    @property
    def is_empty(self) -> bool:
        """Whether there is no mask yet."""
        return self.prediction is None and self.edited_mask is None and not self.strokes

    @property
    def mask_input(self) -> NDArray[np.float32] | None:
        """(1, 256, 256) logits of the mask, which the next click refines; None if empty."""
        if self.is_empty:
            return None
        if self.prediction is not None:
            logits = self.prediction.low_res_logits[self.index : self.index + 1]
        else:
            logits = mask_logits(self._unpredicted(self.original_size), self.frame)
        return painted_logits(logits, self.strokes, self.frame)

    def mask(self, size_hw: tuple[int, int] | None = None, clean: bool = False) -> Mask:
        """The (H, W) bool mask with its strokes, scaled to `size_hw` or at the photo's size.

        With `clean`, see `mobilesam.cleanup.clean_mask`, unless the user has drawn strokes or
        loaded a mask: what is small in these is not the model's.
        """
        size_hw = size_hw or self.original_size
        if self.prediction is None:
            return painted(self._unpredicted(size_hw), self.strokes, self.original_size)
        mask = self.prediction.mask(self.index, size_hw)
        if clean and not self.strokes and self.edited_mask is None:
            return clean_mask(mask, self.prompt, self.original_size)
        return painted(mask, self.strokes, self.original_size)

    def _unpredicted(self, size_hw: tuple[int, int]) -> Mask:
        if self.edited_mask is None:
            return np.zeros(size_hw, np.bool_)
        return scaled_mask(self.edited_mask, size_hw)


def replay(
    interactions: Interactions, frame: Frame
) -> Generator[tuple[bytes, Answer], "Prediction", Answer]:
    """Computes the answer to a log; the caller decodes the prompts, and sends the predictions.

    The frame is that of `crop_of`.

    A click refines the mask so far: its logits become mask_input. A box starts again from the
    prompt alone, because it may mark another object; a mask to edit starts again without a prompt.
    Brush strokes stay on top of later predictions until a box or a mask starts again.

    Yields:
        For each prediction, a digest that determines it on one photo, and the answer to refine:
        its `prompt` includes the new click or box, its `mask_input` is the mask before that.

    Raises:
        PromptError: the log makes no mask, chooses a candidate that does not exist, or has points
            or strokes outside the photo, or strokes that cost more than MAX_PAINTED_PX.
        AnnotationError: a mask to edit does not fit the photo.
    """
    if painted_px(interactions, frame) > MAX_PAINTED_PX:
        raise PromptError(_TOO_MANY_STROKES)
    restarts = [n for n, item in enumerate(interactions) if isinstance(item, SetBox | SetMask)]
    start = restarts[-1] if restarts else 0
    points = reduce(_prompt_after, interactions[:start], Prompt())
    answer = Answer(frame, points)
    digest = hashlib.blake2b(repr(interactions[:start]).encode(), digest_size=16)
    for item in interactions[start:]:
        digest.update(repr(item).encode())
        answer = replace(answer, prompt=_prompt_after(answer.prompt, item))
        match item:
            case SetMask(size_hw, counts):
                rle = {"size": list(size_hw), "counts": counts}
                answer = replace(answer, edited_mask=mask_from_coco_rle(rle, frame.original_size))
            case Stroke():
                check_inside(item.path, frame.original_size, "The brush stroke's point")
                answer = replace(answer, strokes=(*answer.strokes, item))
            case ChooseCandidate(index):
                candidates = answer.prediction.iou_predictions if answer.prediction else ()
                if not 0 <= index < len(candidates):
                    raise PromptError("This candidate does not exist.")
                answer = replace(answer, index=index)
            case AddPoint() | SetBox():
                prediction = yield digest.digest(), answer
                answer = replace(answer, prediction=prediction, index=prediction.best)
    if answer.is_empty:
        raise PromptError("Give at least one point or a box.")
    return answer


def _prompt_after(prompt: Prompt, item: Interaction) -> Prompt:
    match item:
        case AddPoint(x, y, label):
            return prompt.add_point(x, y, label)
        case SetBox(box):
            return prompt.set_box(box)
        case SetMask():
            return Prompt()
    return prompt


def painted_px(interactions: Interactions, frame: Frame) -> float:
    """Upper bound on the cost of all strokes, in `Stroke.swept_px`.

    They are drawn on the mask once, and on the logits again for every click.
    """
    logits_hw = logits_size(frame.input_size)
    strokes = [item for item in interactions if isinstance(item, Stroke)]
    clicks = sum(isinstance(item, AddPoint) for item in interactions)
    on_mask = sum(stroke.swept_px(frame.original_size, frame.original_size) for stroke in strokes)
    on_logits = sum(stroke.swept_px(logits_hw, frame.encoded_size) for stroke in strokes)
    return on_mask + clicks * on_logits
