"""The commands of training, which need the packages of requirements-train.txt."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mobilesam.atomic_file import write_atomically
from mobilesam.cli.output import checked_output, show
from mobilesam.cli.training_parser import FINETUNE_STEPS
from mobilesam.errors import MobileSamError
from mobilesam.export.files import json_bytes
from mobilesam.runtime import usable_cores
from mobilesam.settings import Settings
from mobilesam.training.options import LoopOptions

_GPU_WORKERS = 4


def distill(args: Namespace) -> int:
    """`distill`: trains a small model to imitate a large one."""
    out = checked_output(args.out, ".safetensors", args.photos)
    with training_session():
        from mobilesam.model.weights import resolve_weights
        from mobilesam.training.distill import DistillOptions
        from mobilesam.training.distill import distill as run

        options = DistillOptions(
            teacher=resolve_weights(args.teacher).path,
            scheme=args.scheme,
            student=args.student,
            **training_options(args, out, args.steps),
        )
        run(options, reporter(args), args.quiet)
    return 0


def finetune(args: Namespace) -> int:
    """`finetune`: trains the model on annotations."""
    out = _checked_output(args, ".safetensors")
    settings = Settings.from_env()
    with training_session():
        from mobilesam.model.weights import resolve_weights
        from mobilesam.training.evaluation import table
        from mobilesam.training.finetune import FinetuneOptions
        from mobilesam.training.finetune import finetune as run

        steps = args.steps or (None if args.minutes else FINETUNE_STEPS)
        options = FinetuneOptions(
            annotations=tuple(args.annotations),
            weights=resolve_weights(args.weights or settings.weights).path,
            encoder=args.encoder,
            **training_options(args, out, steps, args.patience),
        )
        outcome = run(options, reporter(args), args.quiet)
    if not args.quiet and outcome.after:  # in the main process
        print(table({"before": outcome.before, "after": outcome.after}))  # noqa: T201
    return 0


def evaluate(args: Namespace) -> int:
    """`evaluate`: measures a model on annotated photos."""
    out = _checked_output(args, ".json") if args.out else None
    settings = Settings.from_env()
    with training_session(resumes=False):
        from accelerate import PartialState

        from mobilesam.candidates import confidence_weight
        from mobilesam.model.weights import resolve_weights
        from mobilesam.training.annotations import read_annotations
        from mobilesam.training.evaluation import embed_with, table
        from mobilesam.training.evaluation import evaluate as run
        from mobilesam.training.teacher import load_teacher

        report = reporter(args)
        photos = read_annotations(args.annotations, args.photos, args.size, report)
        device = PartialState().device
        weights = resolve_weights(args.weights or settings.weights)
        sam = load_teacher(weights.path, args.size).sam.to(device)
        teacher, penalties = None, (confidence_weight(weights.kind), 0.0)
        if args.teacher:
            others = resolve_weights(args.teacher)
            teacher = load_teacher(others.path, args.size).sam.to(device)
            penalties = (penalties[0], confidence_weight(others.kind))
        figures = run(
            sam, photos, embed_with(sam), teacher, quiet=args.quiet, confidence_weights=penalties
        )
    if out:
        report_json = {"weights": weights.path.name, "size": args.size, "figures": figures}
        write_atomically(out, json_bytes(report_json))
    if not args.quiet:
        print(table({weights.kind: figures}))  # noqa: T201
    return 0


@contextmanager
def training_session(resumes: bool = True) -> Iterator[None]:
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
        if resumes:
            show("Run the same command again to resume.")
        raise


def training_options(
    args: Namespace, out: Path, steps: int | None, patience: int | None = None
) -> dict[str, Any]:
    """What `mobilesam.cli.training_parser.add_training` adds, as fields of `TrainingOptions`."""
    import torch

    workers = args.workers
    if workers is None:
        workers = _GPU_WORKERS if torch.cuda.is_available() else 0
    loop = LoopOptions(
        steps=steps,
        minutes=args.minutes,
        learning_rate=args.learning_rate,
        accumulate=args.accumulate,
        workers=workers,
        evaluate_every=args.evaluate_every,
        patience=patience,
    )
    names = ("photos", "size", "batch", "precision", "seed", "embeddings", "held_out", "log")
    return {name: getattr(args, name) for name in names} | {"out": out, "loop": loop}


def reporter(args: Namespace) -> Callable[[str], None]:
    """Prints sentences, or nothing if that was asked for."""

    def report(sentence: str) -> None:
        if not args.quiet:
            show(sentence)

    return report


def _checked_output(args: Namespace, suffix: str) -> Path:
    """The output's path, which is none of the annotation files."""
    for file in args.annotations:
        out = checked_output(args.out, suffix, file)
    return out
