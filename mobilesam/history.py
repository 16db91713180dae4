"""A visitor's corrections as an immutable history, and the answer that follows from it.

The page sends its whole history with every click. The answer to a history depends on nothing else,
so undo is a shorter history, redo a longer one, and no visitor's state lives on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mobilesam.errors import PromptError
from mobilesam.prompts import MAX_POINTS, BoxXYXY, Prompt

if TYPE_CHECKING:  # the page is served before torch is imported
    from mobilesam.predict import Prediction

MAX_ACTIONS = 200


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


Action: TypeAlias = AddPoint | SetBox | ChooseCandidate
History: TypeAlias = tuple[Action, ...]

Predict: TypeAlias = "Callable[[Prompt, NDArray[np.float32] | None], Prediction]"
"""(prompt, mask_input) -> Prediction."""

Recall: TypeAlias = "Callable[[History, Callable[[], Prediction]], Prediction]"
"""(history, compute) -> the prediction remembered for the history, or the computed one."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the decoder says to a history.

    Attributes:
        prompt: all points and the box so far.
        prediction: the candidates for it.
        index: the chosen candidate.
    """

    prompt: Prompt
    prediction: Prediction
    index: int

    @property
    def mask_input(self) -> NDArray[np.float32]:
        """(1, 256, 256) logits of the chosen candidate, for the next correction."""
        return self.prediction.low_res_logits[self.index : self.index + 1]


def answer_history(history: History, predict: Predict, recall: Recall) -> Answer:
    """Plays a history from its start.

    A click after a first answer refines the chosen candidate: its logits go in as mask_input. A new
    box starts afresh from the prompt alone, because it may be about another thing.

    Args:
        history: at least one click or drag.
        predict: the decoder on one photo.
        recall: a memory of predictions, so that a click costs one decode however long the history.

    Raises:
        PromptError: nothing is asked, or a candidate is chosen that was not offered.
    """
    answer: Answer | None = None
    boxes = [position for position, action in enumerate(history) if isinstance(action, SetBox)]
    start = boxes[-1] if boxes else 0
    before = Prompt()  # of the steps before the last box nothing but their points matters
    for action in history[:start]:
        if isinstance(action, AddPoint):
            before = before.add_point(action.x, action.y, action.label)
    for position, action in enumerate(history[start:], start=start + 1):
        if isinstance(action, ChooseCandidate):
            if answer is None or not 0 <= action.index < len(answer.prediction.iou_predictions):
                raise PromptError("There is no such candidate to choose.")
            answer = replace(answer, index=action.index)
            continue
        prompt = answer.prompt if answer else before
        if isinstance(action, AddPoint):
            prompt = prompt.add_point(action.x, action.y, action.label)
            mask_input = answer.mask_input if answer else None
        else:
            prompt, mask_input = prompt.set_box(action.box), None
        prediction = recall(history[:position], partial(predict, prompt, mask_input))
        answer = Answer(prompt, prediction, prediction.best)
    if answer is None:
        raise PromptError("Give at least one point or a box.")
    return answer


def parse_history(raw: object) -> History:
    """Reads a history from JSON, trusting nothing.

    Args:
        raw: a list of {"type": "point", "x", "y", "label"}, {"type": "box", "box": [x0, y0, x1,
            y1]} and {"type": "candidate", "index"}.

    Raises:
        PromptError: it is anything else, longer than 200 actions, or has more than 64 points.
    """
    if not isinstance(raw, list):
        raise PromptError("A history is a list of clicks, boxes and choices.")
    if len(raw) > MAX_ACTIONS:
        raise PromptError(f"At most {MAX_ACTIONS} steps can be used; clear and start again.")
    history = tuple(_parse_action(item) for item in raw)
    if sum(isinstance(action, AddPoint) for action in history) > MAX_POINTS:
        raise PromptError(f"At most {MAX_POINTS} points can be used at once.")
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
        index = item.get("index")
        if kind == "candidate" and isinstance(index, int) and not isinstance(index, bool):
            return ChooseCandidate(index)
    raise PromptError("A step of the history is a click, a box or a choice of candidate.")
