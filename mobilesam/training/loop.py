"""The training loop of distillation and fine-tuning, on Hugging Face accelerate.

What a step learns from is a function of its number alone, so that a run that was interrupted ends
with the same weights as one that was not.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast, send_to_device
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mobilesam.errors import MobileSamError
from mobilesam.training.run_files import RunFiles, RunLog

Figures = dict[str, float]

SCORE = "score"
"""The figure of an evaluation by which `LoopOptions.patience` chooses the best weights."""

_WARM_UP, _FIRST_RATE, _LAST_RATE = 0.05, 0.1, 0.01
_MAX_GRADIENT_NORM = 1.0
_DEFAULT_MINUTES = 60.0
_LOG_SECONDS = 1.0


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


class Batches(Protocol):
    """Batches by number: the same number always gives the same batch. It can be pickled."""

    def __getitem__(self, number: int) -> Any:
        """Batch m of step s on process p of P is number (A s + m) P + p; A is `accumulate`."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        steps: of the optimizer.
        seconds_per_step: mean, without evaluations.
        memory_bytes: the most that was in use: of the GPU, else of the process.
        figures: the evaluation of the weights that the model now has; empty without one.
    """

    steps: int
    seconds_per_step: float
    memory_bytes: int
    figures: Figures


def build_accelerator(precision: str = "no", accumulate: int = 1) -> Accelerator:
    """Finds the device and the processes: those of `accelerate launch`, else a GPU, else the CPU.

    Args:
        precision: `"no"` for float32, `"fp16"` or `"bf16"`.
        accumulate: batches per step and process.

    Raises:
        MobileSamError: the device does not have this precision.
    """
    # A batch of points alone does not reach the weights for boxes, for example.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    try:
        return Accelerator(
            mixed_precision=precision,
            gradient_accumulation_steps=accumulate,
            kwargs_handlers=[unused],
        )
    except ValueError as error:
        raise MobileSamError(f"--precision {precision} cannot be used here: {error}") from error


def train(
    objective: nn.Module,
    model: nn.Module,
    batches: Batches,
    options: LoopOptions,
    files: RunFiles,
    accelerator: Accelerator,
    report: Callable[[str], None],
    evaluate: Callable[[], Figures] | None = None,
    quiet: bool = False,
) -> Outcome:
    """Learns the parameters of a model that require gradients; resumes an interrupted run.

    Args:
        objective: maps a batch to scalars: `"loss"`, and others for the log. It holds the model.
        model: its state dict is what checkpoints keep; it ends with the final weights.
        batches: what to learn from.
        options: how long and how fast.
        files: the checkpoint and the log.
        accelerator: of `build_accelerator`.
        report: gets a sentence when a run is resumed, and for each evaluation.
        evaluate: measures the model, before the first step, in between and after the last one. It
            runs in the main process only, without gradients, the objective being in eval mode.
        quiet: no progress bar.

    Raises:
        MobileSamError: the loss is not finite, a file cannot be written, or the checkpoint cannot
            be used.
    """
    with ExitStack() as stack:
        run = _Run(objective, model, options, files, accelerator)
        if accelerator.is_main_process:
            if run.state.step:
                report(f"Resumed after step {run.state.step} of {files.checkpoint.name}.")
            run.open_log(stack)
        bar = stack.enter_context(_progress_bar(quiet or not accelerator.is_main_process))
        prepared = _prepared(batches, options, accelerator, run.state.step)
        while True:
            if evaluate and run.state.step % options.evaluate_every == 0:
                run.evaluate(evaluate, report)
            progress = run.progress()
            bar.update(progress - bar.n)
            if progress == 1:
                break
            loss = run.step(prepared, options.rate(progress))
            bar.set_postfix(step=run.state.step, loss=f"{loss:.3g}", refresh=False)
            run.save_if_due()
        if evaluate:
            run.evaluate(evaluate, report)
        return run.finish()


@dataclass
class _State:
    """What changes during a run, apart from the weights and the optimizer."""

    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = -1
    figures: Figures = field(default_factory=dict)
    stale: int = 0
    best_figures: Figures = field(default_factory=dict)


class _Run:
    """One run, from its start or from its checkpoint."""

    def __init__(
        self,
        objective: nn.Module,
        model: nn.Module,
        options: LoopOptions,
        files: RunFiles,
        accelerator: Accelerator,
    ) -> None:
        self.model, self.options, self.files = model, options, files
        self.accelerator, self.state = accelerator, _State()
        self.best_weights: dict[str, torch.Tensor] = {}
        self.parameters = [weight for weight in objective.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(self.parameters, weight_decay=options.weight_decay)
        saved = files.read_checkpoint()
        if saved:
            self.state = _State(**saved["state"])
            self.best_weights = saved["best_weights"]
            model.load_state_dict(saved["model"])
        self.objective, self.optimizer = accelerator.prepare(objective, optimizer)
        if saved:
            self.optimizer.load_state_dict(saved["optimizer"])
            if accelerator.scaler is not None:
                accelerator.scaler.load_state_dict(saved["scaler"])
        self._log: RunLog | None = None
        self._log_bytes = saved.get("log_bytes")
        self._losses: list[dict[str, torch.Tensor]] = []
        self._logged_at = self._saved_at = time.monotonic()
        self._loss = math.nan

    def open_log(self, stack: ExitStack) -> None:
        """Opens the log, and writes the first line of a new run."""
        self._log = stack.enter_context(RunLog(self.files.log, self._log_bytes))
        if self._log_bytes is None:
            self._log.write(self.files.identity)

    def progress(self) -> float:
        """How much of the run is done, by the main process's clock."""
        patience = self.options.patience
        done = self.options.progress(self.state.step, self.state.seconds)
        if patience is not None and self.state.stale >= patience:
            done = 1.0
        if self.accelerator.num_processes == 1:
            return done
        return float(broadcast(torch.tensor(done, device=self.accelerator.device)))

    def step(self, batches: Iterator[Any], rate: float) -> float:
        """One step of the optimizer; returns the loss that was logged last."""
        began = time.monotonic()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for _ in range(self.options.accumulate):
            with self.accelerator.accumulate(self.objective):
                losses = self.objective(next(batches))
                self.accelerator.backward(losses["loss"])
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.parameters, _MAX_GRADIENT_NORM)
                self.optimizer.step()
                self.optimizer.zero_grad()
            self._losses.append({name: loss.detach() for name, loss in losses.items()})
        self.state.step += 1
        means = None
        if time.monotonic() - self._logged_at > _LOG_SECONDS:
            means = self._mean_losses()  # waits for the device, so it counts as time of the steps
        self.state.seconds += time.monotonic() - began
        if means:
            self._write_losses(means, rate)
        return self._loss

    def _mean_losses(self) -> Figures:
        """The means since the last line of the log."""
        means = {
            name: float(torch.stack([losses[name] for losses in self._losses]).mean())
            for name in self._losses[0]
        }
        self._losses = []
        return means

    def _write_losses(self, means: Figures, rate: float) -> None:
        self._logged_at, self._loss = time.monotonic(), means["loss"]
        if not math.isfinite(self._loss):
            raise MobileSamError(
                f"The loss is not a number at step {self.state.step}. Use a lower --learning-rate, "
                "or --precision no."
            )
        if self._log:
            times = {"seconds": round(self.state.seconds, 3), "memory_bytes": _memory_bytes()}
            self._log.write({"step": self.state.step, **means, "learning_rate": rate, **times})

    def evaluate(self, evaluate: Callable[[], Figures], report: Callable[[str], None]) -> None:
        """Measures the weights, unless that was done, and remembers the best ones."""
        if self.state.evaluated_step == self.state.step:
            return
        self.state.evaluated_step = self.state.step
        if not self.accelerator.is_main_process:
            return
        self.objective.eval()
        with torch.no_grad():
            self.state.figures = figures = evaluate()
        self.objective.train()
        if self.options.patience is not None:
            self.state.stale += 1
            if figures[SCORE] > self.state.best_figures.get(SCORE, -math.inf):
                self.state.stale, self.state.best_figures = 0, figures
                weights = self.model.state_dict()
                self.best_weights = {name: weights[name].cpu().clone() for name in weights}
        if self._log:
            self._log.write({"step": self.state.step, "evaluation": figures})
        shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        report(f"After step {self.state.step}: {shown}.")

    def save_if_due(self) -> None:
        """Writes a checkpoint if the last one is old."""
        is_due = time.monotonic() - self._saved_at >= self.options.checkpoint_seconds
        if not is_due or not self._log:
            return
        scaler = self.accelerator.scaler
        self.files.write_checkpoint(
            {
                "state": asdict(self.state),
                "model": self.model.state_dict(),
                "best_weights": self.best_weights,
                "optimizer": self.optimizer.state_dict(),
                "scaler": scaler.state_dict() if scaler is not None else {},
                "log_bytes": self._log.size_bytes,
            }
        )
        self._saved_at = time.monotonic()

    def finish(self) -> Outcome:
        """Puts the best weights into the model if they were asked for."""
        figures = self.state.figures
        if self.best_weights:
            self.model.load_state_dict(self.best_weights)
            figures = self.state.best_figures
        seconds = self.state.seconds / max(1, self.state.step)
        return Outcome(self.state.step, seconds, _memory_bytes(), figures)


class _Prepared(Dataset[Any]):
    """Batches for torch's DataLoader, which would put an error's traceback into its message."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, number: int) -> Any:
        try:
            return self.batches[number]
        except MobileSamError as error:
            return error


def _prepared(
    batches: Batches, options: LoopOptions, accelerator: Accelerator, step: int
) -> Iterator[Any]:
    """This process's batches from a step on, on the device, without an end."""
    rank, processes = accelerator.process_index, accelerator.num_processes
    loader = DataLoader(
        _Prepared(batches),
        batch_size=None,
        sampler=count(options.accumulate * step * processes + rank, processes),
        num_workers=options.workers,
        pin_memory=accelerator.device.type == "cuda",
    )
    for batch in loader:
        if isinstance(batch, MobileSamError):
            raise batch
        yield send_to_device(batch, accelerator.device, non_blocking=True)


def _progress_bar(hidden: bool) -> "tqdm[None]":
    """A bar for the part of the run that is done, with the time left; on a terminal only."""
    return tqdm(
        total=1.0,
        desc="training",
        file=sys.stderr,
        disable=hidden or None,
        dynamic_ncols=True,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
    )


def _memory_bytes() -> int:
    """The most that was in use: of the GPU, else of the process; 0 where that is unknown."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
