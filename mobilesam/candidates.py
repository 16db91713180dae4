"""The default candidate: which of the masks for one ambiguous prompt is shown first."""

import numpy as np
from numpy.typing import NDArray

# The bundled model rates vague masks too high. Of the rules that benchmarks/quality.py compares,
# this one is better than SAM's on every set of photos, and the best on photos that the model has
# not seen. All other weights, also those that the user names, have SAM's rule: for the official
# ones it is right, and what others need is not known.
_CONFIDENCE_WEIGHTS = {"bundled": 0.25}
_FAINT = -2.0  # a logit below it is background, whatever the threshold


def confidence_weight(kind: str) -> float:
    """What `candidate_scores` needs for the `Weights.kind`; 0 is SAM's rule."""
    return _CONFIDENCE_WEIGHTS.get(kind, 0.0)


def candidate_scores(
    low_res_logits: NDArray[np.float32],
    iou_predictions: NDArray[np.float32],
    confidence_weight: float = 0.0,
) -> NDArray[np.float32]:
    """Rates the candidates for one prompt; the default one has the highest score.

    Args:
        low_res_logits: (C, h, w) mask logits.
        iou_predictions: (C,) predicted IoUs.
        confidence_weight: of `confidence`, which is added.

    Returns:
        (C,) scores; without a weight, or for one candidate, the predicted IoUs themselves.
    """
    if not confidence_weight or len(iou_predictions) == 1:
        return iou_predictions
    confidences = [confidence(logits) for logits in low_res_logits]
    return np.asarray(iou_predictions + confidence_weight * np.array(confidences), np.float32)


def confidence(logits: NDArray[np.float32]) -> float:
    """The mean of |2 p - 1|, 0 to 1, where the logit is above -2; p is its probability."""
    above = logits[logits > _FAINT]
    return float(np.abs(np.tanh(above / 2)).mean()) if above.size else 0.0
