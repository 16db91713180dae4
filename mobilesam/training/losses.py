"""SAM's losses for masks and predicted IoUs, one value per mask.

As in arXiv 2304.02643, appendix A: focal and dice loss, weighted 20 to 1, and the squared error of
the predicted IoU, weighted 1.
"""

import torch
from torchvision.ops import sigmoid_focal_loss

FOCAL_WEIGHT = 20.0


def mask_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """20 times the focal loss plus the dice loss, which is what trains SAM's masks.

    Args:
        logits: (B, H, W) float.
        targets: (B, H, W) bool, or float from 0 to 1.

    Returns:
        (B,) float32.
    """
    return FOCAL_WEIGHT * focal_loss(logits, targets) + dice_loss(logits, targets)


def focal_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) mean over the pixels of the focal loss (arXiv 1708.02002), alpha 0.25, gamma 2."""
    logits, targets = logits.float(), targets.float()
    pixels: torch.Tensor = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2)
    return pixels.mean((1, 2))


def dice_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) one minus the dice coefficient of probabilities (arXiv 1606.04797).

    One is added to numerator and denominator, so that it is defined for two empty masks.
    """
    probabilities, targets = logits.float().sigmoid(), targets.float()
    overlap = (probabilities * targets).sum((1, 2))
    total = probabilities.sum((1, 2)) + targets.sum((1, 2))
    return 1 - (2 * overlap + 1) / (total + 1)


def iou_loss(
    iou_predictions: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """(B,) squared error of (B,) predicted IoUs; the masks themselves get no gradient."""
    return (iou_predictions.float() - mask_iou(logits > 0, targets)).square()


def mask_iou(masks: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B,) float32 intersection over union of two (B, H, W) bool; 1 for two empty masks."""
    targets = targets > 0
    intersection = (masks & targets).sum((1, 2))
    union = (masks | targets).sum((1, 2))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)
