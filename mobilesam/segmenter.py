"""The facade of the package: a model and its caches of embeddings and predictions."""

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from mobilesam.cache import CacheInfo, LruCache, SharedCache, SharedCacheInfo
from mobilesam.candidates import confidence_weight
from mobilesam.cpu_budget import CpuBudget
from mobilesam.embedding import ImageEmbedding, compute_embedding
from mobilesam.errors import MobileSamError, NotEncodedError
from mobilesam.everything import EverythingProgress, MaskRecord, iter_everything
from mobilesam.everything_options import EverythingOptions
from mobilesam.frame import CropXYXY, checked_crop
from mobilesam.images import ImageSource, Photo, open_photo
from mobilesam.interactions import Answer, Interactions, crop_of, replay
from mobilesam.model.backend import ModelBackend, choose_backend
from mobilesam.model.checkpoint import checkpoint_digest
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import Weights, resolve_weights
from mobilesam.predict import Prediction, predict_masks
from mobilesam.prompts import Prompt
from mobilesam.settings import MEGA, Settings
from mobilesam.shared_embeddings import SharedEmbeddings

_PREDICTIONS_BYTES = 64 * MEGA  # 80 predictions of three candidates, or 240 of one


class Segmenter:
    """Encodes each photo once and answers prompts on it; safe to share between threads.

    Attributes:
        backend: the modules that run the model, and their device.
        weights: the weights in use, and why.
        checkpoint: digest of the weights, part of the key of every embedding.
        settings: limits and cache size.
        on_encode: is called with the seconds that an encode took, the wait for others included.
    """

    def __init__(
        self,
        backend: ModelBackend,
        weights: Weights,
        checkpoint: str,
        settings: Settings | None = None,
        shared_cache: SharedCache | None = None,
    ) -> None:
        self.weights = weights
        self.settings = settings or Settings()
        self.checkpoint = checkpoint
        self.backend = replace(backend, confidence_weight=confidence_weight(weights.kind))
        self._embeddings: LruCache[ImageEmbedding] = LruCache(self.settings.cache_bytes)
        self._shared = shared_cache and SharedEmbeddings(
            shared_cache, backend.name, backend.device, self.settings.limits.max_pixels
        )
        self._predictions: LruCache[Prediction] = LruCache(_PREDICTIONS_BYTES)
        # By the keys of the embeddings that are being computed.
        self._encoding: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._choosing = threading.Lock()
        self.on_encode: Callable[[float], object] | None = None

    @classmethod
    def from_weights(
        cls,
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
        settings: Settings | None = None,
        shared_cache: SharedCache | None = None,
    ) -> Self:
        """Loads a model.

        Args:
            weights: `"official"`, `"bundled"` or a path. None: the MOBILESAM_WEIGHTS variable,
                then weights/mobile_sam.pt, then a download, then the bundled weights.
            device: a torch device. None: the MOBILESAM_DEVICE variable, then CUDA, then the CPU.
            settings: None reads the environment.
            shared_cache: a second level of the cache of embeddings, for several processes.

        Raises:
            WeightsError: the weights cannot be found, downloaded or loaded.
            MobileSamError: the device or a variable of the environment cannot be used.
        """
        settings = settings or Settings.from_env()
        chosen_device = _device(device or settings.device)
        chosen = resolve_weights(weights or settings.weights)
        backend = choose_backend(load_sam(chosen.path, chosen_device), settings.precision)
        return cls(backend, chosen, checkpoint_digest(chosen.path), settings, shared_cache)

    @property
    def photos_at_once(self) -> int:
        """How many photos are worth answering at the same time, each in a thread."""
        return self.backend.threads.photos_at_once

    def open(self, image: ImageSource | Photo) -> Photo:
        """Reads a photo within the limits of the settings, like `open_photo`."""
        return image if isinstance(image, Photo) else open_photo(image, self.settings.limits)

    def encode(
        self, image: ImageSource | Photo, crop_xyxy: Sequence[int] | None = None
    ) -> ImageEmbedding:
        """The embedding of a path, a PIL image or (H, W, 3) uint8 RGB array, cached by its pixels.

        The model sees 1024 pixels along the longer side. For a small object in a large photo,
        encode only a crop around it: prompts must lie within the crop, masks are empty outside,
        and both are in pixels of the whole photo all the same.

        Args:
            image: what to encode.
            crop_xyxy: (x0, y0, x1, y1) in whole pixels of the upright photo; None for all of it.

        Raises:
            ImageError: the photo cannot be used.
            PromptError: the crop is not within the photo, or a side has less than 32 pixels.
        """
        return self.encode_photo(self.open(image), crop_xyxy)[0]

    def encode_photo(
        self, photo: Photo, crop_xyxy: Sequence[int] | None = None
    ) -> tuple[ImageEmbedding, bool]:
        """The embedding of a photo or its crop, as `encode`, and whether it was cached."""
        crop = None if crop_xyxy is None else checked_crop(crop_xyxy, photo.size_hw)
        key = _crop_key(f"{self.checkpoint}:{photo.digest}", crop)
        if embedding := self._embeddings.get(key):
            return embedding, True
        with self._choosing:
            encoding = self._encoding.setdefault(key, threading.Lock())
        with encoding:
            if embedding := self._embeddings.get(key):  # another thread has encoded it meanwhile
                return embedding, True
            embedding, was_cached = self._shared_or_computed(photo, key, crop)
            self._embeddings.put(key, embedding, embedding.nbytes)
            return embedding, was_cached

    def cached(self, key: str) -> ImageEmbedding | None:
        """The embedding of an earlier `encode`, if it is still in a cache.

        Where it is no longer in memory, this may wait a moment for the shared cache.
        """
        if embedding := self._embeddings.get(key):
            return embedding
        if self._shared and (embedding := self._shared.get(key)):
            self._embeddings.put(key, embedding, embedding.nbytes)
        return embedding

    def cached_crop(self, photo: ImageEmbedding, crop_xyxy: CropXYXY) -> ImageEmbedding | None:
        """As `cached`, for a crop of the photo."""
        return self.cached(_crop_key(photo.key, crop_xyxy))

    def predict(
        self,
        embedding: ImageEmbedding,
        prompt: Prompt,
        mask_input: NDArray[np.float32] | None = None,
        multimask_output: bool | None = None,
    ) -> Prediction:
        """Masks for one prompt; see `mobilesam.predict.predict_masks`."""
        return self._decode(None, embedding, prompt, mask_input, multimask_output)

    def answer(
        self, embedding: ImageEmbedding, interactions: Interactions, budget: CpuBudget | None = None
    ) -> Answer:
        """The answer to a log; see `mobilesam.interactions.replay`, also for errors.

        Args:
            embedding: of the whole photo.
            interactions: the log; if it names a crop, see `mobilesam.interactions.crop_of`.
            budget: decoding is charged to it, and PromptError is raised when it is spent.

        Raises:
            NotEncodedError: the crop is not in the cache: `encode` it first.
        """
        if crop := crop_of(interactions, embedding.original_size):
            cropped = self.cached_crop(embedding, crop)
            if not cropped:
                raise NotEncodedError([crop])
            embedding = cropped
        steps = replay(interactions, embedding.frame)
        try:
            digest, answer = next(steps)
            while True:
                if budget:
                    budget.check()
                key = embedding.key, digest
                prediction = self._predictions.get(key)
                if prediction is None:
                    mask_input = answer.mask_input
                    # A refinement has one candidate, where SAM's rule gives a single point three.
                    multimask_output = None if mask_input is None else False
                    prediction = self._decode(
                        budget, embedding, answer.prompt, mask_input, multimask_output
                    )
                    self._predictions.put(key, prediction, prediction.low_res_logits.nbytes)
                digest, answer = steps.send(prediction)
        except StopIteration as end:
            result: Answer = end.value
            return result

    def require_crops(self, embedding: ImageEmbedding, logs: Iterable[Interactions]) -> None:
        """Raises NotEncodedError with all crops that `answer` would miss for some logs."""
        crops = {crop_of(interactions, embedding.original_size) for interactions in logs}
        missing = [crop for crop in crops if crop and not self.cached_crop(embedding, crop)]
        if missing:
            raise NotEncodedError(missing)

    def everything(
        self, embedding: ImageEmbedding, points_per_side: int = 16, **thresholds: float
    ) -> list[MaskRecord]:
        """Masks of the whole photo from a grid of points, the highest predicted IoU first.

        `points_per_side` is from 1 to 64. For the thresholds see `mobilesam.EverythingOptions`;
        their defaults depend on the weights.

        Raises:
            PromptError: an option is unknown or out of range, or too many masks pass.
        """
        options = self.everything_options({"points_per_side": points_per_side, **thresholds})
        *_, last = self.iter_everything(embedding, options)
        return last.records

    def iter_everything(
        self, embedding: ImageEmbedding, options: EverythingOptions
    ) -> Generator[EverythingProgress, None, None]:
        """As `everything`, batch by batch; see `mobilesam.everything.iter_everything`."""
        return iter_everything(self.backend, embedding, options)

    def everything_options(self, given: Mapping[str, Any]) -> EverythingOptions:
        """The given options of `everything`, and defaults that suit the weights in use."""
        return EverythingOptions.for_weights(self.weights.kind, given)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, entries and bytes of the embedding cache in memory."""
        return self._embeddings.info()

    def shared_cache_info(self) -> SharedCacheInfo | None:
        """Hits, misses and errors of the shared cache, if there is one, and whether it answers."""
        return self._shared.info() if self._shared else None

    def _shared_or_computed(
        self, photo: Photo, key: str, crop: CropXYXY | None
    ) -> tuple[ImageEmbedding, bool]:
        """An embedding that is not in memory, and whether it was in the shared cache."""

        def compute() -> ImageEmbedding:
            started_at = time.perf_counter()
            embedding = compute_embedding(self.backend, photo, key, crop)
            if self.on_encode:
                self.on_encode(time.perf_counter() - started_at)
            return embedding

        return self._shared.get_or_compute(key, compute) if self._shared else (compute(), False)

    def _decode(self, budget: CpuBudget | None, *request: Any) -> Prediction:
        """Runs `predict_masks` where the backend decodes and charges its processor time."""

        def timed() -> tuple[Prediction, float]:
            started = time.thread_time()
            prediction = predict_masks(self.backend, *request)
            return prediction, time.thread_time() - started

        prediction, cpu_s = self.backend.threads.click(timed)
        if budget:
            budget.charge(cpu_s)
        return prediction


def _crop_key(photo_key: str, crop: CropXYXY | None) -> str:
    return f"{photo_key}:{crop}" if crop else photo_key


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise MobileSamError(f"The device {name!r} cannot be used: {error}") from error
    return device
