"""The range of values that is shown from black to white, for greys of more than eight bits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (0.1, 99.9)
_SAMPLES = 200_000  # of a photo, for its percentiles
_CAMERA_BITS = (8, 10, 12, 14)
_WHITE_16 = 65535.0
_MIN_SHARE = 0.5  # of the range of a bit depth, below which a photo would look flat


@dataclass(frozen=True)
class ValueRange:
    """Values from `low`, black, to `high`, white, and a sentence for the user, or none."""

    low: float
    high: float
    note: str = ""

    @classmethod
    def of(cls, strips: Iterable[NDArray[np.generic]], pixels: int, is_float: bool) -> "ValueRange":
        """Chooses the range for the (H, W) strips of a photo with so many pixels.

        It is the range of the bit depth that holds the values, or 0 to 1 for floats, if they use at
        least half of it; otherwise that of the percentiles. NaN and infinite values are ignored.
        """
        stride = pixels // _SAMPLES + 1
        samples, lowest, highest = [], np.inf, -np.inf
        for strip in strips:
            values = strip.ravel()
            samples.append(values[::stride].astype(np.float64))
            finite = values[np.isfinite(values)]
            if finite.size:
                lowest, highest = min(lowest, finite.min()), max(highest, finite.max())
        if lowest > highest:
            return cls(0.0, 1.0, "This photo has no finite values.")
        sample = np.concatenate(samples)
        sample = sample[np.isfinite(sample)]
        low, high = np.percentile(sample, PERCENTILES) if sample.size else (lowest, highest)
        if low == high:  # fewer than one in a thousand pixels differ
            low, high = lowest, highest
        white = _white(high, is_float)
        if low == high:
            return cls(0.0, white, "All pixels of this photo have the same value.")
        if low >= 0 and high <= white and high - low >= _MIN_SHARE * white:
            low, high = 0.0, white
        is_usual = low == 0 and high in ((1.0,) if is_float else (_WHITE_16,))
        note = f"Values from {low:.4g} to {high:.4g} are shown as black to white."
        return cls(float(low), float(high), "" if is_usual else note)

    def to_grey(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Values as uint8 greys; NaN becomes black."""
        scaled = values.astype(np.float64)
        scaled -= self.low
        scaled *= 255 / (self.high - self.low)
        np.clip(scaled, 0, 255, out=scaled)
        np.nan_to_num(scaled, copy=False)
        grey: NDArray[np.uint8] = np.rint(scaled, out=scaled).astype(np.uint8)
        return grey


def _white(high: float, is_float: bool) -> float:
    """The white of the smallest usual range that holds a value.

    It is 255, shifted to the bit depth of a camera: 4080 for 12 bits.
    """
    if is_float and high <= 1:
        return 1.0
    depths = (bits for bits in _CAMERA_BITS if high < 1 << bits)
    return next((float(255 << (bits - 8)) for bits in depths), _WHITE_16)
