"""The commands of training, which need the packages of requirements-train.txt."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mobilesam.cli.output import checked_output, show
from mobilesam.errors import MobileSamError
from mobilesam.runtime import usable_cores

if TYPE_CHECKING:
    from mobilesam.training.loop import LoopOptions

_GPU_WORKERS = 4


def distill(args: Namespace) -> int:
    """`distill`: trains a small model to answer as a large one."""
    out = checked_output(args.out, ".safetensors", args.photos)
    with training_session():
        from mobilesam.model.weights import resolve_weights
        from mobilesam.training.distill import DistillOptions
        from mobilesam.training.distill import distill as run

        options = DistillOptions(
            teacher=resolve_weights(args.teacher).path,
            photos=args.photos,
            scheme=args.scheme,
            out=out,
            student=args.student,
            size=args.size,
            batch=args.batch,
            precision=args.precision,
            seed=args.seed,
            embeddings=args.embeddings,
            held_out=args.held_out,
            log=args.log,
            loop=loop_options(args),
        )
        run(options, reporter(args), args.quiet)
    return 0


@contextmanager
def training_session() -> Iterator[None]:
    """Says which packages are missing, uses the usable cores, and says how to resume."""
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise MobileSamError(
            "Training needs more packages: pip install -r requirements-train.txt"
        ) from error
    import torch

    if "OMP_NUM_THREADS" not in os.environ:  # `accelerate launch` sets it for several processes
        torch.set_num_threads(usable_cores())
    try:
        yield
    except KeyboardInterrupt:
        show("Run the same command again to resume.")
        raise


def loop_options(args: Namespace) -> LoopOptions:
    """The options of `mobilesam.cli.training_parser.add_loop` that the loop takes."""
    import torch

    from mobilesam.training.loop import LoopOptions

    workers = args.workers
    if workers is None:
        workers = _GPU_WORKERS if torch.cuda.is_available() else 0
    return LoopOptions(
        steps=args.steps,
        minutes=args.minutes,
        learning_rate=args.learning_rate,
        accumulate=args.accumulate,
        workers=workers,
        evaluate_every=args.evaluate_every,
    )


def reporter(args: Namespace) -> Callable[[str], None]:
    """Prints sentences, or nothing if that was asked for."""

    def report(sentence: str) -> None:
        if not args.quiet:
            show(sentence)

    return report
