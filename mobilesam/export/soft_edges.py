"""Soft edges for cut-outs: alpha about two pixels wide, and colours without the background.

A mask says of each pixel that it is inside or outside, and cutting the photo along it leaves steps
and a fringe in the colours of the background.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from mobilesam.masks import Mask

SOFT_MARGIN_PX = 1  # how far alpha reaches beyond the mask
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
# The smoothed mask is 1/16, 5/16, 11/16 and 15/16 across a straight edge. With this contrast alpha
# is 0, 0.25, 0.75 and 1 there: a linear ramp that is two pixels wide.
_CONTRAST = 4 / 3
ESTIMATE_PX = 7  # of the neighbourhood from which colours are estimated
_TILE_PX = 256
_LEAST_WEIGHT = 1e-4  # of a mean; less is rounding


def soft_alpha(mask: Mask) -> NDArray[np.uint8]:
    """The alpha of an (H, W) bool mask with an edge two pixels wide, (H, W) uint8.

    It is at least 128 inside the mask and at most 127 outside; from the second pixel beside an edge
    on, it is 255 and 0. The border of the photo is no edge.
    """
    alpha = cv2.sepFilter2D(
        mask.view(np.uint8),
        cv2.CV_8U,  # saturates
        _BINOMIAL,
        _BINOMIAL * 255 * _CONTRAST,
        delta=255 * (1 - _CONTRAST) / 2,
        borderType=cv2.BORDER_REPLICATE,
    )
    # In a line of one pixel the smoothed mask is below one half, in a gap of one pixel above.
    np.maximum(alpha, 128, out=alpha, where=mask)
    np.minimum(alpha, 127, out=alpha, where=~mask)
    return np.asarray(alpha)


def foreground_colours(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Estimates the object's own colours where its edge is mixed with the background.

    `pixels` is (H, W, 3) uint8 RGB, `alpha` (H, W) uint8. Returns (H, W, 3) uint8: `pixels` where
    alpha is 255, zero where it is 0.

    The estimate is that of M. Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021):
    the means of foreground and background around a pixel, and the foreground corrected so that both
    mix to the pixel's colour. The article weights the means by alpha; its fourth power, used here,
    leaves mixed pixels hardly any weight.
    """
    colours = pixels * (alpha > 0)[..., None]
    height, width = alpha.shape
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            tile = np.s_[top : top + _TILE_PX, left : left + _TILE_PX]
            mixed = (alpha[tile] > 0) & (alpha[tile] < 255)
            if not mixed.any():
                continue
            y0, x0 = max(0, top - ESTIMATE_PX), max(0, left - ESTIMATE_PX)
            around = np.s_[y0 : top + _TILE_PX + ESTIMATE_PX, x0 : left + _TILE_PX + ESTIMATE_PX]
            estimate = _estimated(pixels[around], alpha[around])[top - y0 :, left - x0 :]
            colours[tile][mixed] = estimate[: mixed.shape[0], : mixed.shape[1]][mixed]
    return colours


def _estimated(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = pixels.astype(np.float32)
    share = (alpha[..., None] / 255).astype(np.float32)
    foreground, background = _mean(image, share**4), _mean(image, (1 - share) ** 4)
    mixed = share * foreground + (1 - share) * background
    return np.clip(np.rint(foreground + share * (image - mixed)), 0, 255).astype(np.uint8)


def _mean(image: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weighted mean around every pixel; the pixel itself where all weights are zero."""
    size = (2 * ESTIMATE_PX + 1, 2 * ESTIMATE_PX + 1)
    weights = cv2.boxFilter(weight[..., 0], -1, size)[..., None]
    is_known = weights > _LEAST_WEIGHT
    means = cv2.boxFilter(image * weight, -1, size) / np.where(is_known, weights, 1)
    return np.where(is_known, means, image)
