"""The options of a training run: what all trainings share, and how long and how fast to learn."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mobilesam import __version__

SCORE = "score"
"""The figure of an evaluation by which `LoopOptions.patience` chooses the best weights."""

_WARM_UP, _FIRST_RATE, _LAST_RATE = 0.05, 0.1, 0.01
_DEFAULT_MINUTES = 60.0


@dataclass(frozen=True)
class LoopOptions:
    """How long and how fast to learn.

    Attributes:
        steps: the number of optimizer steps, or None.
        minutes: of training, without embeddings and evaluations, or None. The run ends at whichever
            comes first, and after an hour if both are None.
        learning_rate: of AdamW, at its highest: it rises over the first 5 % of the run and then
            falls to 1 % as a cosine.
        weight_decay: of AdamW.
        accumulate: batches per step and process.
        workers: processes that prepare batches; 0 for the training process itself.
        evaluate_every: steps between evaluations.
        patience: evaluations without a better `SCORE` after which the run ends; it then has the
            weights of the best one. None for the last weights.
        checkpoint_seconds: time between checkpoints.
    """

    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    accumulate: int = 1
    workers: int = 0
    evaluate_every: int = 200
    patience: int | None = None
    checkpoint_seconds: float = 60

    @property
    def identity(self) -> dict[str, Any]:
        """What the weights at the end depend on, for `RunFiles.identity`."""
        names = asdict(self)
        for name in ("workers", "checkpoint_seconds"):
            del names[name]
        if self.patience is None:
            del names["evaluate_every"]
        return names

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run, 0 to 1, is done after a number of steps and seconds."""
        minutes = self.minutes
        if self.steps is None and minutes is None:
            minutes = _DEFAULT_MINUTES
        by_steps = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if minutes is None else seconds / (60 * minutes)
        return min(1.0, max(by_steps, by_time))

    def rate(self, progress: float) -> float:
        """The learning rate at a point of the run."""
        if progress < _WARM_UP:
            return self.learning_rate * (_FIRST_RATE + (1 - _FIRST_RATE) * progress / _WARM_UP)
        cosine = (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))) / 2
        return self.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * cosine)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What distillation and fine-tuning are told alike.

    Attributes:
        photos: the folder of the photos.
        out: the result, a .safetensors file.
        size: side of the model's input in pixels; the demo's is 1024.
        batch: photos per batch.
        precision: `"no"` for float32, `"fp16"` or `"bf16"`.
        seed: of all that is random: weights, split and order of the photos, prompts.
        embeddings: the folder of the image embeddings, which runs can share; None for the default,
            beside the result.
        held_out: photos to evaluate on; None for a share of them.
        log: JSON lines; None for the result's name with the suffix .jsonl.
        loop: how long and how fast.
    """

    photos: Path
    out: Path
    size: int = 1024
    batch: int = 1
    precision: str = "no"
    seed: int = 0
    embeddings: Path | None = None
    held_out: int | None = None
    log: Path | None = None
    loop: LoopOptions = field(default_factory=LoopOptions)

    def identity(self, processes: int) -> dict[str, Any]:
        """What the weights at the end depend on, apart from what is learned from."""
        return {
            "size": self.size,
            "batch": self.batch,
            "precision": self.precision,
            "seed": self.seed,
            "processes": processes,
            "version": __version__,
            **self.loop.identity,
        }
