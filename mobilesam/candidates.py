"""The default candidate: which of the masks for one ambiguous prompt is shown first."""

import cv2
import numpy as np
from numpy.typing import NDArray

# The bundled model rates ragged masks too high. Of the rules that benchmarks/quality.py compares,
# this one gains about as much as any on photos that the model has not seen. All other weights, also
# those that the user names, have SAM's rule: for the official ones it is right, and what others
# need is not known.
_PARTS_PENALTIES = {"bundled": 0.05}


def parts_penalty(kind: str) -> float:
    """What `candidate_scores` needs for the `Weights.kind`; 0 is SAM's rule."""
    return _PARTS_PENALTIES.get(kind, 0.0)


def candidate_scores(
    low_res_logits: NDArray[np.float32],
    iou_predictions: NDArray[np.float32],
    parts_penalty: float = 0.0,
    mask_threshold: float = 0.0,
) -> NDArray[np.float32]:
    """Rates the candidates for one prompt; the default one has the highest score.

    Args:
        low_res_logits: (C, h, w) mask logits.
        iou_predictions: (C,) predicted IoUs.
        parts_penalty: times ln(parts + 1) is subtracted; a part is connected by sides or corners.
        mask_threshold: the logit above which a pixel is in the mask.

    Returns:
        (C,) scores; without a penalty, or for one candidate, the predicted IoUs themselves.
    """
    if not parts_penalty or len(iou_predictions) == 1:
        return iou_predictions
    masks = (low_res_logits > mask_threshold).view(np.uint8)
    parts = [cv2.connectedComponents(mask, connectivity=8)[0] - 1 for mask in masks]
    return np.asarray(iou_predictions - parts_penalty * np.log1p(parts), np.float32)
