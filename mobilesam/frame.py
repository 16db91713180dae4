"""Where a photo, or a crop of it, lies in the square that the encoder sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from mobilesam.errors import PromptError
from mobilesam.images import scaled_size
from mobilesam.masks import Mask
from mobilesam.schemas import Plain, WholeNumber, listed, validate

MIN_CROP_SIDE = 32
"""Of both sides of a crop, in pixels of the photo."""

CropXYXY: TypeAlias = tuple[int, int, int, int]
Crop = Annotated[
    tuple[WholeNumber, WholeNumber, WholeNumber, WholeNumber], listed("x0", "y0", "x1", "y1")
]
_CROP = TypeAdapter(Annotated[Crop, Plain])


@dataclass(frozen=True)
class Frame:
    """The pixels of the upright photo that are encoded, and where the model sees them.

    Attributes:
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of its encoded part within the model's square of 1024.
        crop_xyxy: the encoded part, in whole pixels of the photo; None for the whole photo.
    """

    original_size: tuple[int, int]
    input_size: tuple[int, int]
    crop_xyxy: CropXYXY | None = None

    @classmethod
    def of(cls, original_size: tuple[int, int], side: int, crop_xyxy: CropXYXY | None) -> Self:
        """The frame of a photo of size (H, W), or its crop, scaled to a longer side of `side`."""
        encoded_size = crop_size(crop_xyxy) if crop_xyxy else original_size
        return cls(original_size, scaled_size(encoded_size, side), crop_xyxy)

    @property
    def encoded_xyxy(self) -> CropXYXY:
        """The encoded part, also where that is the whole photo."""
        height, width = self.original_size
        return self.crop_xyxy or (0, 0, width, height)

    @property
    def encoded_size(self) -> tuple[int, int]:
        """(H, W) of the encoded part in pixels of the photo."""
        return crop_size(self.encoded_xyxy)

    @property
    def scale_xy(self) -> NDArray[np.float64]:
        """(2,) pixels of the input for one of the photo; each side has been rounded on its own."""
        return np.divide(self.input_size[::-1], self.encoded_size[::-1])

    def to_input(self, xy: Iterable[object]) -> NDArray[np.float64]:
        """Converts (..., 2) XY in pixels of the photo to pixels of the model's input."""
        return (np.array(xy, np.float64) - self.encoded_xyxy[:2]) * self.scale_xy

    def encoded_part(self, size_hw: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of the encoded part in a picture of the whole photo, scaled to (H, W).

        Each has at least one pixel; edges are rounded to whole ones.
        """
        x0, y0, x1, y1 = self.encoded_xyxy
        height, width = self.original_size
        return _scaled(y0, y1, height, size_hw[0]), _scaled(x0, x1, width, size_hw[1])

    def placed(self, part: Mask, size_hw: tuple[int, int]) -> Mask:
        """The (H, W) mask of the whole photo whose `encoded_part` is `part`, and nothing beside."""
        if part.shape == size_hw:
            return part
        mask = np.zeros(size_hw, np.bool_)
        mask[self.encoded_part(size_hw)] = part
        return mask


def crop_size(crop_xyxy: CropXYXY) -> tuple[int, int]:
    """(H, W) of a crop."""
    x0, y0, x1, y1 = crop_xyxy
    return y1 - y0, x1 - x0


def checked_crop(crop_xyxy: object, size_hw: tuple[int, int]) -> CropXYXY | None:
    """Validates a crop of a photo of size (H, W): [x0, y0, x1, y1] in whole pixels of the photo.

    Returns None if it is the whole photo.

    Raises:
        PromptError: it is anything else, is not within the photo, or has a side of less than
            MIN_CROP_SIDE.
    """
    crop: CropXYXY = validate(_CROP, crop_xyxy, name="The crop")
    height, width = size_hw
    if crop == (0, 0, width, height):
        return None
    x0, y0, x1, y1 = crop
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise PromptError(f"The crop must be [x0, y0, x1, y1] within the {width} x {height} photo.")
    if min(crop_size(crop)) < MIN_CROP_SIDE:
        raise PromptError(f"A crop must be at least {MIN_CROP_SIDE} pixels wide and high.")
    return crop


def _scaled(start: int, stop: int, length: int, scaled_length: int) -> slice:
    first = min(round(start * scaled_length / length), scaled_length - 1)
    return slice(first, max(round(stop * scaled_length / length), first + 1))
