"""A visitor's corrections as an immutable history, and the answer that follows from it.

The page sends its whole history with every click. The answer to a history depends on nothing else,
so undo is a shorter history, redo a longer one, and no visitor's state lives on the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mobilesam.errors import PromptError
from mobilesam.masks import Mask, mask_from_coco_rle, scaled_mask
from mobilesam.paint import Stroke, logits_size, mask_logits, painted, painted_logits
from mobilesam.prompts import MAX_POINTS, BoxXYXY, Prompt, checked_label, checked_point

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.predict import Prediction

MAX_ACTIONS = 200
MAX_PATH_POINTS = 20_000
MAX_PAINTED_PX = 4e9
"""Over which the strokes of a history go, again and again; half a second of work."""
_TOO_MANY_STROKES = "There are too many strokes of the brush; keep the object and go on."
MAX_RADIUS_PX = 4096.0
MAX_COUNTS_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class AddPoint:
    """A click: x, y in pixels of the upright photo, label 1 or 0."""

    x: float
    y: float
    label: int


@dataclass(frozen=True)
class SetBox:
    """A drag: the box, XYXY in pixels of the upright photo, in place of an earlier one."""

    box: BoxXYXY


@dataclass(frozen=True)
class ChooseCandidate:
    """Another candidate of the last answer, by its index."""

    index: int


@dataclass(frozen=True)
class SetMask:
    """A mask taken up to be corrected, in place of all before: COCO's compressed counts."""

    size_hw: tuple[int, int]
    counts: str


@dataclass(frozen=True)
class Paint:
    """A stroke of the brush on the mask so far; it stays on top of later answers."""

    stroke: Stroke


Action: TypeAlias = AddPoint | SetBox | ChooseCandidate | SetMask | Paint
Interactions: TypeAlias = tuple[Action, ...]

Predict: TypeAlias = "Callable[[Prompt, NDArray[np.float32] | None], Prediction]"
"""(prompt, mask_input) -> Prediction."""

Recall: TypeAlias = "Callable[[bytes, Callable[[], Prediction]], Prediction]"
"""(digest of a history, compute) -> the prediction remembered for it, or the computed one."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What has become of a history.

    Attributes:
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square.
        prompt: all points and the box so far.
        prediction: the decoder's candidates for it; None where nothing was asked of it yet.
        index: the chosen candidate.
        taken: the (H, W) mask taken up, where there is no prediction; None for an empty one.
        strokes: of the brush, on top.
    """

    original_size: tuple[int, int]
    input_size: tuple[int, int]
    prompt: Prompt = field(default_factory=Prompt)
    prediction: Prediction | None = None
    index: int = 0
    taken: Mask | None = None
    strokes: tuple[Stroke, ...] = ()

    @property
    def predicted_iou(self) -> float | None:
        """The decoder's estimate for the chosen candidate, where it was asked."""
        return float(self.prediction.iou_predictions[self.index]) if self.prediction else None

    @property
    def mask_input(self) -> NDArray[np.float32] | None:
        """(1, 256, 256) logits for the next correction; None where there is nothing to correct."""
        if self.prediction is not None:
            logits = self.prediction.low_res_logits[self.index : self.index + 1]
        elif self.taken is not None or self.strokes:
            logits = mask_logits(self._taken(self.original_size), self.input_size)
        else:
            return None
        return painted_logits(logits, self.strokes, self.original_size, self.input_size)

    def mask(self, size_hw: tuple[int, int] | None = None) -> Mask:
        """The mask, strokes and all.

        Args:
            size_hw: (H, W) to scale the photo's frame to; None for the photo's own size.

        Returns:
            (H, W) bool.
        """
        size_hw = size_hw or self.original_size
        if self.prediction is not None:
            base = self.prediction.mask(self.index, size_hw)
        else:
            base = self._taken(size_hw)
        return painted(base, self.strokes, self.original_size)

    def _taken(self, size_hw: tuple[int, int]) -> Mask:
        if self.taken is None:
            return np.zeros(size_hw, np.bool_)
        return scaled_mask(self.taken, size_hw)


def replay(
    history: Interactions,
    original_size: tuple[int, int],
    input_size: tuple[int, int],
    predict: Predict,
    recall: Recall,
) -> Answer:
    """Plays a history from its start.

    A click after a first answer refines the mask so far: its logits go in as mask_input. A new box
    starts afresh from the prompt alone, because it may be about another thing; a mask taken up
    starts from that mask alone. Strokes of the brush stay on top of whatever the clicks after them
    say, until a box or a mask starts afresh.

    Args:
        history: at least one step.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square.
        predict: the decoder on the photo.
        recall: a memory of predictions, so that a click costs one decode however long the history.

    Raises:
        PromptError: nothing is asked, a candidate is chosen that was not offered, a stroke
            leaves the photo, or they go over more than 4 gigapixels.
        AnnotationError: a mask taken up is not one of this photo.
    """
    if painted_px(history, original_size, input_size) > MAX_PAINTED_PX:
        raise PromptError(_TOO_MANY_STROKES)
    empty = Answer(original_size, input_size)
    start, points = _start(history)
    answer = replace(empty, prompt=points)
    # A history can hold megabytes, which a memory of predictions should not.
    digest = hashlib.blake2b(repr(history[:start]).encode(), digest_size=16)
    for step in history[start:]:
        digest.update(repr(step).encode())
        so_far = digest.digest()
        match step:
            case SetMask(size_hw, counts):
                rle = {"size": list(size_hw), "counts": counts}
                answer = replace(empty, taken=mask_from_coco_rle(rle, original_size))
            case Paint(stroke):
                _check_inside(stroke, original_size)
                answer = replace(answer, strokes=(*answer.strokes, stroke))
            case ChooseCandidate(index):
                prediction = answer.prediction
                if prediction is None or not 0 <= index < len(prediction.iou_predictions):
                    raise PromptError("There is no such candidate to choose.")
                answer = replace(answer, index=index)
            case SetBox(box):
                prompt = answer.prompt.set_box(box)
                prediction = recall(so_far, partial(predict, prompt, None))
                answer = replace(empty, prompt=prompt, prediction=prediction, index=prediction.best)
            case AddPoint(x, y, label):
                prompt = answer.prompt.add_point(x, y, label)
                prediction = recall(so_far, partial(_refine, predict, prompt, answer))
                answer = replace(
                    answer, prompt=prompt, prediction=prediction, index=prediction.best
                )
    if answer.prediction is None and answer.taken is None and not answer.strokes:
        raise PromptError("Give at least one point or a box.")
    return answer


def _refine(predict: Predict, prompt: Prompt, answer: Answer) -> Prediction:
    """Decodes a click on an answer; the mask_input is made only where that is not remembered."""
    return predict(prompt, answer.mask_input)


def _start(history: Interactions) -> tuple[int, Prompt]:
    """Where the last box or mask stands, and all that matters of the steps before it: points."""
    start, before, points = 0, Prompt(), Prompt()
    for position, step in enumerate(history):
        match step:
            case AddPoint(x, y, label):
                points = points.add_point(x, y, label)
            case SetBox():
                start, before = position, points
            case SetMask():
                start, before, points = position, Prompt(), Prompt()
    return start, before


def _check_inside(stroke: Stroke, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    if not all(0 <= x <= width and 0 <= y <= height for x, y in stroke.path):
        raise PromptError(f"A stroke of the brush leaves the {width} x {height} photo.")


def painted_px(
    history: Interactions, original_size: tuple[int, int], input_size: tuple[int, int]
) -> float:
    """What the strokes of a history cost, see `mobilesam.paint.Stroke.swept_px`.

    They are drawn on the mask, and once more on the logits for every click after them.

    Args:
        history: any.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square.
    """
    logits_hw = logits_size(input_size)
    total = on_logits = 0.0
    for step in history:
        match step:
            case Paint(stroke):
                total += stroke.swept_px(original_size, original_size)
                on_logits += stroke.swept_px(logits_hw, original_size)
            case AddPoint():
                total += on_logits
            case SetBox() | SetMask():
                on_logits = 0.0
    return total


def parse_interactions(raw: object) -> Interactions:
    """Reads a history from JSON, trusting nothing.

    Args:
        raw: a list of {"type": "point", "x", "y", "label"}, {"type": "box", "box": [x0, y0, x1,
            y1]}, {"type": "candidate", "index"}, {"type": "mask", "rle": {"size", "counts"}} and
            {"type": "paint", "path": [[x, y], ...], "radius", "label"}.

    Raises:
        PromptError: it is anything else, longer than 200 actions, has more than 64 points, or
            paints along more than 20,000.
    """
    if not isinstance(raw, list):
        raise PromptError("A history is a list of clicks, boxes and choices.")
    if len(raw) > MAX_ACTIONS:
        raise PromptError(f"At most {MAX_ACTIONS} steps can be used; clear and start again.")
    history = tuple(_parse_action(item) for item in raw)
    if sum(isinstance(action, AddPoint) for action in history) > MAX_POINTS:
        raise PromptError(f"At most {MAX_POINTS} points can be used at once.")
    strokes = [step.stroke for step in history if isinstance(step, Paint)]
    points = sum(len(stroke.path) for stroke in strokes)
    if points > MAX_PATH_POINTS:
        raise PromptError(_TOO_MANY_STROKES)
    return history


def _parse_action(item: object) -> Action:
    if isinstance(item, Mapping):
        kind = item.get("type")
        if kind == "point":
            # Prompt checks and normalises, so that equal clicks have equal histories.
            prompt = Prompt([(item.get("x"), item.get("y"))], [item.get("label")])  # type: ignore[list-item]
            (x, y), label = prompt.point_coords[0], prompt.point_labels[0]
            return AddPoint(x, y, label)
        if kind == "box":
            box = item.get("box")
            if box is not None:
                checked = Prompt(box=box).box
                if checked is not None:
                    return SetBox(checked)
        if kind == "mask":
            return _parse_mask(item.get("rle"))
        if kind == "paint":
            return Paint(_parse_stroke(item))
        index = item.get("index")
        if kind == "candidate" and isinstance(index, int) and not isinstance(index, bool):
            return ChooseCandidate(index)
    raise PromptError("A step of the history is a click, a box, a choice, a mask or a stroke.")


def _parse_mask(rle: object) -> SetMask:
    """The shape of an RLE; whether it fits the photo is seen when it is decoded."""
    size = rle.get("size") if isinstance(rle, Mapping) else None
    counts = rle.get("counts") if isinstance(rle, Mapping) else None
    if (
        isinstance(size, list)
        and len(size) == 2
        and all(type(side) is int for side in size)
        and isinstance(counts, str)
        and len(counts) <= MAX_COUNTS_CHARACTERS
    ):
        return SetMask((size[0], size[1]), counts)
    raise PromptError("A mask to take up is a run-length mask with its size and counts.")


def _parse_stroke(item: Mapping[str, object]) -> Stroke:
    path, radius = item.get("path"), item.get("radius")
    if not isinstance(path, list) or not 1 <= len(path) <= MAX_PATH_POINTS:
        raise PromptError("A stroke of the brush has a path of points.")
    if (
        not isinstance(radius, (int, float))
        or isinstance(radius, bool)
        or not 0 < radius <= MAX_RADIUS_PX
    ):
        raise PromptError(f"The radius of a brush is between 0 and {MAX_RADIUS_PX:g} pixels.")
    points = [checked_point(place) for place in path]
    label = checked_label(item.get("label"))
    return Stroke(tuple(points), float(radius), label)
