"""The errors that callers can catch: whatever bad input raises is a MobileSamError."""


class MobileSamError(Exception):
    """Base of all errors of this package; `str(error)` is a sentence that a visitor can act on."""


class ImageError(MobileSamError):
    """The photo cannot be used: not an image, truncated, too large."""


class PromptError(MobileSamError):
    """The points, the box, the mask_input or the options cannot be used."""


class AnnotationError(MobileSamError):
    """An annotation file cannot be read: not the format it should be, damaged, too large."""


class WeightsError(MobileSamError):
    """The model weights cannot be found, downloaded or loaded."""
