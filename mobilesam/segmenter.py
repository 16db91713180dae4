"""The facade: one model, one cache of embeddings, and the lock that keeps encodes in line."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam

from mobilesam.cache import CacheInfo, LruCache
from mobilesam.embedding import ImageEmbedding, encode_photo
from mobilesam.errors import MobileSamError
from mobilesam.everything import (
    EverythingProgress,
    MaskRecord,
    iter_everything,
    segment_everything,
)
from mobilesam.everything_options import EverythingOptions
from mobilesam.images import ImageSource, Photo, open_photo
from mobilesam.interactions import Answer, Interactions, replay
from mobilesam.model.backend import ModelBackend, choose_backend
from mobilesam.model.checkpoint import checkpoint_digest
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import Weights, resolve_weights
from mobilesam.predict import Prediction, predict_masks
from mobilesam.prompts import Prompt
from mobilesam.runtime import behind_clicks, in_fresh_thread
from mobilesam.settings import MEGA, Precision, Settings

_PREDICTIONS_BYTES = 64 * MEGA  # about 80 to 240 answers; a click makes one


class Segmenter:
    """Encodes photos once and answers prompts on them; safe to share between threads.

    Attributes:
        weights: which weights the model has, and why.
        checkpoint: digest of the weights, a part of every embedding's key.
        settings: limits and the bound of the cache.
    """

    def __init__(
        self,
        network: ModelBackend,
        weights: Weights,
        checkpoint: str,
        settings: Settings | None = None,
    ) -> None:
        """Wraps a network.

        Args:
            network: the modules that answer.
            weights: where its weights came from.
            checkpoint: digest of the weights.
            settings: None for the defaults.
        """
        self.weights = weights
        self.settings = settings or Settings()
        self._network = network
        self.checkpoint = checkpoint
        self._embeddings: LruCache[str, ImageEmbedding] = LruCache(self.settings.cache_bytes)
        self._predictions: LruCache[tuple[str, bytes], Prediction] = LruCache(_PREDICTIONS_BYTES)
        # Two encodes at once take as long as one after the other, with twice the memory.
        self._encoding = threading.Lock()
        # One thread decodes for all, in the order of asking; see `mobilesam.runtime`.
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="decode")

    @classmethod
    def from_weights(
        cls,
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
        settings: Settings | None = None,
        choose: Callable[[Sam, Precision], ModelBackend] = choose_backend,
    ) -> Segmenter:
        """Loads a model.

        Args:
            weights: `"official"`, `"bundled"` or a path. None: the MOBILESAM_WEIGHTS variable,
                then weights/mobile_sam.pt, then a download, then the bundled weights.
            device: a torch device. None: the MOBILESAM_DEVICE variable, then CUDA, then the CPU.
            settings: None reads the environment.
            choose: which modules answer.

        Raises:
            WeightsError: the weights cannot be had or loaded.
            MobileSamError: the device cannot be used, or a variable is malformed.
        """
        settings = settings or Settings.from_env()
        chosen_device = _device(device or settings.device)
        chosen = resolve_weights(weights or settings.weights)
        network = in_fresh_thread(
            lambda: choose(load_sam(chosen.path, chosen_device), settings.precision)
        )
        return cls(network, chosen, checkpoint_digest(chosen.path), settings)

    @property
    def backend_name(self) -> str:
        """Which modules answer, for the log."""
        return self._network.name

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self._network.device

    def open(self, image: ImageSource | Photo) -> Photo:
        """Reads a photo within this segmenter's limits; a Photo is handed back.

        Raises:
            ImageError: the photo cannot be used.
        """
        return image if isinstance(image, Photo) else open_photo(image, self.settings.limits)

    def encode(self, image: ImageSource | Photo) -> ImageEmbedding:
        """The photo's embedding: from the cache, or encoded now.

        Args:
            image: a path, a PIL image, an (H, W, 3) uint8 RGB array, or an opened Photo.

        Raises:
            ImageError: the photo cannot be used.
        """
        return self.encode_photo(self.open(image))[0]

    def encode_photo(self, photo: Photo) -> tuple[ImageEmbedding, bool]:
        """The photo's embedding and whether it was there, or on its way, already."""
        key = f"{self.checkpoint}:{photo.digest}"

        def encode() -> ImageEmbedding:
            with self._encoding:
                return behind_clicks(lambda: encode_photo(self._network, photo, key))

        return self._embeddings.get_or_compute(key, encode)

    def cached(self, key: str) -> ImageEmbedding | None:
        """The embedding of an earlier `encode`, if the cache still holds it."""
        return self._embeddings.get(key)

    def predict(
        self,
        embedding: ImageEmbedding,
        prompt: Prompt,
        mask_input: NDArray[np.float32] | None = None,
        multimask_output: bool | None = None,
    ) -> Prediction:
        """Masks for one prompt; see `mobilesam.predict.predict_masks`.

        Raises:
            PromptError: the prompt or mask_input cannot be used on this photo.
        """
        return self._decoding.submit(
            predict_masks, self._network, embedding, prompt, mask_input, multimask_output
        ).result()

    def answer(self, embedding: ImageEmbedding, history: Interactions) -> Answer:
        """The answer to a visitor's clicks so far; see `mobilesam.interactions.replay`.

        Raises:
            PromptError: a step of the history cannot be used on this photo.
        """

        def predict(prompt: Prompt, mask_input: NDArray[np.float32] | None) -> Prediction:
            # SAM's rule offers three candidates for a single point; a correction has its mask.
            multimask_output = None if mask_input is None else False
            return self.predict(embedding, prompt, mask_input, multimask_output)

        def recall(so_far: bytes, compute: Callable[[], Prediction]) -> Prediction:
            return self._predictions.get_or_compute((embedding.key, so_far), compute)[0]

        return replay(history, embedding.original_size, embedding.input_size, predict, recall)

    def everything(
        self, embedding: ImageEmbedding, points_per_side: int = 16, **thresholds: float
    ) -> list[MaskRecord]:
        """Masks of the whole photo from a grid of points.

        Args:
            embedding: of the photo.
            points_per_side: from 1 to 64.
            **thresholds: see `mobilesam.EverythingOptions`; what is left out is as it
                suits the weights.

        Raises:
            PromptError: an option is unknown or out of range, or too many masks pass.
        """
        options = self.everything_options({"points_per_side": points_per_side, **thresholds})
        return segment_everything(self._network, embedding, options)

    def iter_everything(
        self, embedding: ImageEmbedding, options: EverythingOptions
    ) -> Generator[EverythingProgress, None, None]:
        """The same step by step; see `mobilesam.everything.iter_everything`."""
        return iter_everything(self._network, embedding, options)

    def everything_options(self, given: Mapping[str, Any]) -> EverythingOptions:
        """Options with the defaults that suit this model's weights where nothing is given.

        Args:
            given: settings by name, which may be a visitor's JSON.

        Raises:
            PromptError: an option is unknown or out of range.
        """
        return EverythingOptions.for_weights(self.weights.kind, given)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, entries and bytes of the embedding cache."""
        return self._embeddings.info()


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise MobileSamError(f"The device {name!r} cannot be used here: {error}") from error
    return device
