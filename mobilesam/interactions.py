"""The log of a user's interactions with a photo, and the mask that follows from it.

The page sends the whole log with every request. The answer depends on the log alone: undo sends a
shorter log, and the server keeps no state of a user's corrections.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasPath, FailFast, Field, TypeAdapter

from mobilesam.errors import PromptError
from mobilesam.masks import Mask, mask_from_coco_rle, scaled_mask
from mobilesam.paint import Stroke, logits_size, mask_logits, painted, painted_logits
from mobilesam.prompts import MAX_POINTS, Box, PointXY, Prompt
from mobilesam.schemas import Label, Number, WholeNumber, expected, validate

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.predict import Prediction

MAX_INTERACTIONS = 200
MAX_PATH_POINTS = 20_000
"""Of all strokes together."""
MAX_RADIUS_PX = 4096.0
MAX_PAINTED_PX = 4e9
"""Pixels that the strokes cover, overlaps counted again: about half a second of work."""
_TOO_MANY_STROKES = "There are too many brush strokes. Undo some of them."

_SizeHW = tuple[WholeNumber, WholeNumber]
_Counts = Annotated[str, Field(strict=True, max_length=4_000_000)]
_Path = Annotated[tuple[PointXY, ...], Field(min_length=1, max_length=MAX_PATH_POINTS), FailFast()]
_Radius = Annotated[
    Number,
    Field(gt=0, le=MAX_RADIUS_PX),
    expected(f"above 0 and at most {MAX_RADIUS_PX:g} pixels"),
]


@dataclass(frozen=True)
class AddPoint:
    """A click: x, y in pixels of the upright photo, label 1 or 0."""

    x: Number
    y: Number
    label: Label
    type: Literal["point"] = "point"


@dataclass(frozen=True)
class SetBox:
    """A box, XYXY in pixels of the upright photo, which replaces an earlier one."""

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

    size_hw: Annotated[_SizeHW, Field(validation_alias=AliasPath("rle", "size"))]
    counts: Annotated[_Counts, Field(validation_alias=AliasPath("rle", "counts"))]
    type: Literal["mask"] = "mask"


@dataclass(frozen=True)
class AddStroke(Stroke):
    """A brush stroke on the current mask; it stays on top of later predictions."""

    path: _Path
    radius: _Radius
    label: Label
    type: Literal["stroke"] = "stroke"


Interaction: TypeAlias = AddPoint | SetBox | ChooseCandidate | SetMask | AddStroke
Interactions: TypeAlias = tuple[Interaction, ...]

_Tagged = Annotated[Interaction, Field(discriminator="type")]
_SCHEMA = TypeAdapter(Annotated[list[_Tagged], Field(strict=True), FailFast()])


def parse_interactions(raw: object) -> Interactions:
    """Reads a log from JSON.

    Args:
        raw: a list of {"type": "point", "x", "y", "label"}, {"type": "box", "box": [x0, y0, x1,
            y1]}, {"type": "candidate", "index"}, {"type": "mask", "rle": {"size", "counts"}} and
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
    paths = [item.path for item in interactions if isinstance(item, AddStroke)]
    if sum(map(len, paths)) > MAX_PATH_POINTS:
        raise PromptError(_TOO_MANY_STROKES)
    return tuple(interactions)


@dataclass(frozen=True, eq=False)
class Answer:
    """The result of a log.

    Attributes:
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square.
        prompt: all points and the box so far.
        prediction: the decoder's candidates; None if there was no prompt yet.
        index: the chosen candidate.
        edited_mask: the (H, W) mask that is being edited; only used without a prediction.
        strokes: drawn on top.
    """

    original_size: tuple[int, int]
    input_size: tuple[int, int]
    prompt: Prompt = field(default_factory=Prompt)
    prediction: Prediction | None = None
    index: int = 0
    edited_mask: Mask | None = None
    strokes: tuple[Stroke, ...] = ()

    @property
    def predicted_iou(self) -> float | None:
        """The decoder's estimate for the chosen candidate; None without a prediction."""
        return float(self.prediction.iou_predictions[self.index]) if self.prediction else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has made a mask yet."""
        return self.prediction is None and self.edited_mask is None and not self.strokes

    @property
    def mask_input(self) -> NDArray[np.float32] | None:
        """(1, 256, 256) logits of the mask, for its correction by the decoder; None if empty."""
        if self.is_empty:
            return None
        if self.prediction is not None:
            logits = self.prediction.low_res_logits[self.index : self.index + 1]
        else:
            logits = mask_logits(self._unpredicted(self.original_size), self.input_size)
        return painted_logits(logits, self.strokes, self.original_size, self.input_size)

    def mask(self, size_hw: tuple[int, int] | None = None) -> Mask:
        """The (H, W) bool mask with its strokes, scaled to `size_hw` or at the photo's size."""
        size_hw = size_hw or self.original_size
        if self.prediction is not None:
            base = self.prediction.mask(self.index, size_hw)
        else:
            base = self._unpredicted(size_hw)
        return painted(base, self.strokes, self.original_size)

    def _unpredicted(self, size_hw: tuple[int, int]) -> Mask:
        if self.edited_mask is None:
            return np.zeros(size_hw, np.bool_)
        return scaled_mask(self.edited_mask, size_hw)


@dataclass(frozen=True, eq=False)
class DecoderRequest:
    """A prediction that a replay needs.

    Attributes:
        key: digest of the interactions so far; on one photo it determines the prediction.
        prompt: points and box.
        refines: the answer so far, whose mask, if any, the prediction refines.
    """

    key: bytes
    prompt: Prompt
    refines: Answer

    @property
    def mask_input(self) -> NDArray[np.float32] | None:
        """(1, 256, 256) logits; computed on access, as a remembered prediction needs none."""
        return self.refines.mask_input


def replay(
    interactions: Interactions, original_size: tuple[int, int], input_size: tuple[int, int]
) -> Generator[DecoderRequest, Prediction, Answer]:
    """Computes the answer to a log; a generator that yields requests and is sent predictions.

    A click refines the mask so far: its logits become mask_input. A box starts afresh from the
    prompt alone, because it may mark another object; a mask to edit starts afresh without any
    prompt. Brush strokes stay on top of later predictions until a box or a mask starts afresh.

    Args:
        interactions: at least one.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square.

    Raises:
        PromptError: the log makes no mask, chooses a candidate that does not exist, or has strokes
            outside the photo or over more than MAX_PAINTED_PX.
        AnnotationError: a mask to edit does not fit the photo.
    """
    if painted_px(interactions, original_size, input_size) > MAX_PAINTED_PX:
        raise PromptError(_TOO_MANY_STROKES)
    # Only the first item of the rest can be a box or a mask, which finds an empty answer.
    start, points = _last_start(interactions)
    answer = Answer(original_size, input_size, points)
    # A digest, as a log can have megabytes.
    digest = hashlib.blake2b(repr(interactions[:start]).encode(), digest_size=16)
    for item in interactions[start:]:
        digest.update(repr(item).encode())
        match item:
            case SetMask(size_hw, counts):
                rle = {"size": list(size_hw), "counts": counts}
                answer = replace(answer, edited_mask=mask_from_coco_rle(rle, original_size))
            case AddStroke():
                _check_inside(item, original_size)
                answer = replace(answer, strokes=(*answer.strokes, item))
            case ChooseCandidate(index):
                candidates = answer.prediction.iou_predictions if answer.prediction else ()
                if not 0 <= index < len(candidates):
                    raise PromptError("This candidate does not exist.")
                answer = replace(answer, index=index)
            case SetBox(box):
                answer = yield from _predicted(answer, answer.prompt.set_box(box), digest.digest())
            case AddPoint(x, y, label):
                prompt = answer.prompt.add_point(x, y, label)
                answer = yield from _predicted(answer, prompt, digest.digest())
    if answer.is_empty:
        raise PromptError("Give at least one point or a box.")
    return answer


def _predicted(
    answer: Answer, prompt: Prompt, key: bytes
) -> Generator[DecoderRequest, Prediction, Answer]:
    prediction = yield DecoderRequest(key, prompt, answer)
    return replace(answer, prompt=prompt, prediction=prediction, index=prediction.best)


def _last_start(interactions: Interactions) -> tuple[int, Prompt]:
    """The index of the last box or mask, which starts afresh, and the points that it keeps."""
    start, kept, points = 0, Prompt(), Prompt()
    for index, item in enumerate(interactions):
        match item:
            case AddPoint(x, y, label):
                points = points.add_point(x, y, label)
            case SetBox():
                start, kept = index, points
            case SetMask():
                start, kept, points = index, Prompt(), Prompt()
    return start, kept


def _check_inside(stroke: Stroke, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    if not all(0 <= x <= width and 0 <= y <= height for x, y in stroke.path):
        raise PromptError(f"A brush stroke extends outside the {width} x {height} photo.")


def painted_px(
    interactions: Interactions, original_size: tuple[int, int], input_size: tuple[int, int]
) -> float:
    """The cost of all strokes, which every later click draws again on its mask_input.

    Arguments as for `replay`; see `mobilesam.paint.Stroke.swept_px` for the unit.
    """
    logits_hw = logits_size(input_size)
    total = on_logits = 0.0
    for item in interactions:
        match item:
            case AddStroke():
                total += item.swept_px(original_size, original_size)
                on_logits += item.swept_px(logits_hw, original_size)
            case AddPoint():
                total += on_logits
            case SetBox() | SetMask():
                on_logits = 0.0
    return total
