"""The errors of this package; invalid input of any kind raises a MobileSamError."""


class MobileSamError(Exception):
    """Base of all errors of this package; `str(error)` is a sentence for the user."""


class ImageError(MobileSamError):
    """The photo cannot be used: it is not an image, truncated or too large."""


class PromptError(MobileSamError):
    """The points, the box, the mask_input or the options cannot be used."""


class AnnotationError(MobileSamError):
    """An annotation file cannot be read: it has another format, is damaged or too large."""


class WeightsError(MobileSamError):
    """The model weights cannot be found, downloaded or loaded."""
