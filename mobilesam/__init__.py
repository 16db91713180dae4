"""MobileSAM: click on a thing in a photo and get its mask.

segmenter = mobilesam.Segmenter.from_weights()
embedding = segmenter.encode("photo.jpg")
prompt = mobilesam.Prompt(point_coords=[(320, 240)], point_labels=[1])
prediction = segmenter.predict(embedding, prompt)
mask = prediction.masks[prediction.best]
"""

from mobilesam.cache import CacheInfo
from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import ImageError, MobileSamError, PromptError, WeightsError
from mobilesam.everything import EverythingOptions, MaskRecord
from mobilesam.predict import Prediction
from mobilesam.prompts import Prompt
from mobilesam.segmenter import Segmenter
from mobilesam.settings import ImageLimits, Settings

__all__ = [
    "CacheInfo",
    "EverythingOptions",
    "ImageEmbedding",
    "ImageError",
    "ImageLimits",
    "MaskRecord",
    "MobileSamError",
    "Prediction",
    "Prompt",
    "PromptError",
    "Segmenter",
    "Settings",
    "WeightsError",
]
__version__ = "0.1.0"
