"""One run of training: its weights, its optimizer and its figures, with checkpoint and log."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from segment_anything.modeling import Sam
from torch import nn

from mobilesam.errors import MobileSamError
from mobilesam.model.checkpoint import checkpoint_bytes
from mobilesam.training.options import SCORE, LoopOptions
from mobilesam.training.run_files import RunFiles, RunLog

Figures = dict[str, float]

_MAX_GRADIENT_NORM = 1.0
_LOG_SECONDS = 1.0


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


def write_result(
    model: Sam, outcome: Outcome, files: RunFiles, report: Callable[[str], None]
) -> None:
    """Writes the weights with what they depend on as metadata, and says how to use them."""
    metadata = {name: str(value) for name, value in files.identity.items()}
    files.finish(checkpoint_bytes(model, {**metadata, "steps": str(outcome.steps)}))
    report(
        f"{files.out} is ready after {outcome.steps} steps of {outcome.seconds_per_step:.2g} s. "
        f"Open the demo with it: MOBILESAM_WEIGHTS={files.out} make run"
    )


@dataclass
class _State:
    """What changes during a run, apart from the weights and the optimizer."""

    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = -1
    figures: Figures = field(default_factory=dict)
    stale: int = 0
    best_figures: Figures = field(default_factory=dict)


class Run:
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
