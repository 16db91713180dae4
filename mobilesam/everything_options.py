"""Options of automatic mask generation: grid, thresholds, and defaults for the weights in use."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field
from pydantic.dataclasses import dataclass

from mobilesam.errors import PromptError
from mobilesam.schemas import Number, Plain, Validated, WholeNumber, expected

# The bundled model's logits are flat and its predicted IoU is low: with segment-anything's
# thresholds most photos have no masks at all. With these the example photos have 3 to 13, which
# cover 82% (python -m benchmarks.everything). Lower ones find more objects, but also more regions
# under 1% of the photo: at 0.3 and 0.3 a quarter of the masks, at 0.4 and 0.3 a seventh.
_BUNDLED_DEFAULTS = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.3}

_Side = Annotated[WholeNumber, Field(ge=1, le=64), Plain, expected("a whole number from 1 to 64")]
_Fraction = Annotated[Number, Field(ge=0, le=1), Plain, expected("a number from 0 to 1")]
_Offset = Annotated[Number, Field(ge=0, le=100), Plain, expected("a number from 0 to 100")]
_Area = Annotated[
    WholeNumber, Field(ge=0, le=10**6), Plain, expected("a whole number from 0 to 1,000,000")
]


@dataclass(frozen=True)
class EverythingOptions(Validated):
    """Options with the defaults of segment-anything's SamAutomaticMaskGenerator, except the grid.

    Attributes:
        points_per_side: the grid has the square of this number of points; 1 to 64.
        pred_iou_thresh: drops masks whose predicted IoU is not above it; 0 to 1, 0 drops none.
        stability_score_thresh: drops masks that change too much with the threshold; 0 to 1.
        stability_score_offset: how far the mask threshold, a logit, is moved for that; 0 to 100.
        box_nms_thresh: box IoU above which the mask with the lower predicted IoU is dropped; 0 to
            1, 1 drops none.
        min_mask_region_area: islands and holes of fewer pixels are removed from the masks; of
            masks that become duplicates, the changed ones are dropped first; 0 to 1,000,000.
        min_area_share: drops masks that cover less than this share of the photo; 0 to 1, 0 drops
            none. segment-anything has no such option.
        mask_nms_thresh: IoU of two masks above which the one with the lower predicted IoU is
            dropped; 0 to 1, 1 drops none. It finds the duplicates that `box_nms_thresh` misses
            because a few pixels far away make one of the boxes larger.

    Raises:
        PromptError: an option is unknown or not a number in its range.
    """

    points_per_side: _Side = 16
    pred_iou_thresh: _Fraction = 0.88
    stability_score_thresh: _Fraction = 0.95
    stability_score_offset: _Offset = 1.0
    box_nms_thresh: _Fraction = 0.7
    min_mask_region_area: _Area = 0
    min_area_share: _Fraction = 0.0
    mask_nms_thresh: _Fraction = 1.0

    @classmethod
    def for_weights(cls, kind: str, given: Mapping[str, Any]) -> Self:
        """The given options, and for the others the defaults that suit the `Weights.kind`."""
        if not isinstance(given, Mapping):
            raise PromptError('The options must be an object such as {"points_per_side": 16}.')
        defaults = _BUNDLED_DEFAULTS if kind == "bundled" else {}
        return cls(**{**defaults, **given})
