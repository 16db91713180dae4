"""The training loop of distillation and fine-tuning, on Hugging Face accelerate.

What a step learns from is a function of its number alone, so that a run that was interrupted ends
with the same weights as one that was not.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any, Protocol

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, send_to_device
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mobilesam.errors import MobileSamError
from mobilesam.training.options import LoopOptions
from mobilesam.training.run import Figures, Outcome, Run
from mobilesam.training.run_files import RunFiles


class Batches(Protocol):
    """Batches by number: the same number always gives the same batch. It can be pickled."""

    def __getitem__(self, number: int) -> Any:
        """Batch m of step s on process p of P is number (A s + m) P + p; A is `accumulate`."""


def build_accelerator(precision: str = "no", accumulate: int = 1) -> Accelerator:
    """Finds the device and the processes: those of `accelerate launch`, else a GPU, else the CPU.

    Each call replaces the precision and the accumulation of the one before, which accelerate keeps
    for the whole Python process.

    Args:
        precision: `"no"` for float32, `"fp16"` or `"bf16"`.
        accumulate: batches per step and process.

    Raises:
        MobileSamError: the device does not have this precision.
    """
    AcceleratorState._reset_state()  # it has no public way to change the precision
    # A batch of points alone does not reach the weights for boxes, for example.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    try:
        accelerator = Accelerator(
            mixed_precision=precision,
            gradient_accumulation_steps=accumulate,
            kwargs_handlers=[unused],
        )
        if precision != "no" and not accelerator.native_amp:  # fp16 on a CPU would be float32
            raise ValueError(f"the device {accelerator.device} does not have it.")
    except ValueError as error:
        raise MobileSamError(f"--precision {precision} cannot be used here: {error}") from error
    return accelerator


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
        run = Run(objective, model, options, files, accelerator)
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
