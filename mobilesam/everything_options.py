"""How everything in a photo is looked for: grid, thresholds, and what suits which weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, cast

from mobilesam.errors import PromptError

if TYPE_CHECKING:  # options are checked before torch is imported
    from mobilesam.model.weights import WeightsKind

MAX_POINTS_PER_SIDE = 64
MAX_REGION_AREA = 1_000_000
_MAX_OFFSET = 100.0

# The bundled model's logits are flat and its predicted IoU is low: segment-anything's thresholds
# leave nothing of most photos. These were chosen by looking at the masks of the example photos
# (python -m benchmarks.everything compares the two).
_DEFAULTS_BY_KIND: dict[str, dict[str, float]] = {
    "bundled": {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.3}
}


@dataclass(frozen=True)
class EverythingOptions:
    """Settings, with the defaults of segment-anything's SamAutomaticMaskGenerator but the grid.

    `for_weights` has other thresholds for weights that these do not suit.

    Attributes:
        points_per_side: the grid has this number squared; 1 to 64.
        pred_iou_thresh: drop masks whose predicted IoU is not above it; 0 to 1, 0 drops none.
        stability_score_thresh: drop masks that change too much with the threshold; 0 to 1.
        stability_score_offset: by how much of a logit the threshold is moved; 0 to 100.
        box_nms_thresh: box IoU above which the mask with the lower predicted IoU is dropped; 0 to
            1, 1 drops none.
        min_mask_region_area: islands and holes of fewer pixels are removed from the masks, and
            where that makes duplicates, masks that needed it are dropped first; 0 to 1,000,000.

    Raises:
        PromptError: a setting is not a number in its range.
    """

    points_per_side: int = 16
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    min_mask_region_area: int = 0

    def __post_init__(self) -> None:
        """Checks every setting and turns it into a plain int or float."""
        self._whole("points_per_side", 1, MAX_POINTS_PER_SIDE)
        self._number("pred_iou_thresh", 1)
        self._number("stability_score_thresh", 1)
        self._number("stability_score_offset", _MAX_OFFSET)
        self._number("box_nms_thresh", 1)
        self._whole("min_mask_region_area", 0, MAX_REGION_AREA)

    @classmethod
    def for_weights(cls, kind: WeightsKind, given: Mapping[str, Any]) -> EverythingOptions:
        """The defaults that suit these weights, with what is given in their place.

        Args:
            kind: which weights; see `mobilesam.model.weights.Weights`.
            given: settings by name, which may be a visitor's JSON.

        Raises:
            PromptError: a name is not one of a setting, or a setting cannot be used.
        """
        names = [setting.name for setting in fields(cls)]
        for name in given:
            if name not in names:
                raise PromptError(
                    f"There is no option {str(name)[:40]!r}; there are {', '.join(names)}."
                )
        return cls(**{**_DEFAULTS_BY_KIND.get(kind, {}), **given})

    def _whole(self, name: str, lowest: int, highest: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, Integral) or isinstance(value, bool):
            value = lowest - 1
        if not lowest <= cast(int, value) <= highest:
            raise PromptError(f"{name} must be a whole number from {lowest} to {highest}.")
        object.__setattr__(self, name, int(value))

    def _number(self, name: str, highest: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, Real) or isinstance(value, bool):
            value = math.nan
        # A comparison with NaN is False, one with a huge whole number exact.
        if not 0 <= cast(float, value) <= highest:
            raise PromptError(f"{name} must be a number from 0 to {highest:g}.")
        object.__setattr__(self, name, float(value))
