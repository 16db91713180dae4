"""MobileSAM: click an object in a photo and get its mask.

segmenter = mobilesam.Segmenter.from_weights()
embedding = segmenter.encode("photo.jpg")
prompt = mobilesam.Prompt(point_coords=[(320, 240)], point_labels=[1])
prediction = segmenter.predict(embedding, prompt)
mask = prediction.masks[prediction.best]
"""

import importlib
from typing import TYPE_CHECKING

from mobilesam.cache import CacheInfo as CacheInfo
from mobilesam.errors import AnnotationError as AnnotationError
from mobilesam.errors import ImageError as ImageError
from mobilesam.errors import MobileSamError as MobileSamError
from mobilesam.errors import PromptError as PromptError
from mobilesam.errors import WeightsError as WeightsError
from mobilesam.settings import ImageLimits as ImageLimits
from mobilesam.settings import Settings as Settings

if TYPE_CHECKING:
    from mobilesam.cleanup import clean_mask as clean_mask
    from mobilesam.embedding import ImageEmbedding as ImageEmbedding
    from mobilesam.everything import MaskRecord as MaskRecord
    from mobilesam.everything_options import EverythingOptions as EverythingOptions
    from mobilesam.objects import PhotoObject as PhotoObject
    from mobilesam.predict import Prediction as Prediction
    from mobilesam.prompts import Prompt as Prompt
    from mobilesam.segmenter import Segmenter as Segmenter

__version__ = "0.1.0"

# Imported on first access (PEP 562): importing torch takes seconds, which the version, the help
# text and the page do not need.
_MODULES = {
    "EverythingOptions": "everything_options",
    "ImageEmbedding": "embedding",
    "MaskRecord": "everything",
    "PhotoObject": "objects",
    "Prediction": "predict",
    "Prompt": "prompts",
    "Segmenter": "segmenter",
    "clean_mask": "cleanup",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
