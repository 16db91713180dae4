"""The errors of this package; invalid input of any kind raises a MobileSamError."""

from collections.abc import Sequence


class MobileSamError(Exception):
    """Base of all errors of this package; `str(error)` is a sentence for the user."""


class ImageError(MobileSamError):
    """The photo cannot be used: it is not an image, truncated or too large."""


class PromptError(MobileSamError):
    """The points, the box, the mask_input or the options cannot be used."""


class NotEncodedError(PromptError):
    """Crops of the photo must be encoded before the prompts can be answered.

    Attributes:
        crops: each as (x0, y0, x1, y1), in pixels of the upright photo.
    """

    def __init__(self, crops: Sequence[tuple[int, int, int, int]]) -> None:
        """Names the crops to encode."""
        super().__init__("This part of the photo must be encoded first. Try again.")
        self.crops = tuple(crops)


class AnnotationError(MobileSamError):
    """An annotation file cannot be read: it has another format, is damaged or too large."""


class WeightsError(MobileSamError):
    """The model weights cannot be found, downloaded or loaded."""
