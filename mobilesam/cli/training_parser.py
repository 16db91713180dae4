"""The command line of training: arguments and help texts."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Add: TypeAlias = Callable[..., object]
"""The method `add_argument` of a command's parser."""

PROGRAM = "python -m mobilesam"
FINETUNE_STEPS = 120
"""Where `finetune` ends at the latest, unless another limit is given."""

DISTILL_EXAMPLES = f"""\
examples:
  try it: learn from the example photos for one minute, on small inputs
    {PROGRAM} distill --teacher bundled --photos examples --scheme decoupled \\
        --size 256 --batch 4 --minutes 1 --out student.safetensors
  open the demo with the result
    MOBILESAM_WEIGHTS=student.safetensors make run
  as in the paper, with SAM's ViT-H as the teacher, on all GPUs of a machine
    accelerate launch -m mobilesam distill --teacher sam_vit_h_4b8939.pth --photos sa-1b \\
        --scheme decoupled --minutes 600 --precision bf16 --out student.safetensors

The schemes are those of the MobileSAM paper (arXiv 2306.14289):
  decoupled     the image encoder learns the teacher's image embeddings
  semi-coupled  the image encoder learns the teacher's masks, through the teacher's mask decoder
  coupled       image encoder and mask decoder learn the teacher's masks together
The paper recommends decoupled.

First the teacher's embeddings are computed and kept on disk: 2 MB a photo at the full size, and for
large photos and teachers a second each on a GPU, some seconds on a CPU. Then the student learns. It
uses a GPU if there is one; on a CPU, use a --size such as 256.

The run is saved every minute in student.safetensors.part. To resume it after an interruption, run
the same command again. Losses and evaluations (mean IoU of the student's masks with the teacher's)
are in student.jsonl, one JSON object per line."""

FINETUNE_EXAMPLES = f"""\
examples:
  learn from photos that were annotated in the demo and exported as COCO, one file for each photo
    {PROGRAM} finetune --annotations exports/*.json --photos photos --out mine.safetensors
  open the demo with the result
    MOBILESAM_WEIGHTS=mine.safetensors make run

Any other COCO file with polygons or run-length masks can be used, too. Twenty photos are enough to
begin with. A fifth of the photos is not learned from: they tell when to stop, and the table at the
end compares the model before and after on them.

Prompt encoder and mask decoder learn, which takes minutes on two CPU cores. The image embeddings
are computed once, about a second for each photo, and kept on disk, 2 MB for each photo. With
--encoder the image encoder learns, too: this needs a GPU and some hundred photos.

The run is saved every minute in mine.safetensors.part. To resume it after an interruption, run the
same command again. Losses and evaluations are in mine.jsonl, one JSON object per line."""

EVALUATE_EXAMPLES = f"""\
examples:
  measure your weights on annotated photos
    {PROGRAM} evaluate --weights mine.safetensors --annotations coco.json --photos photos
  compare the bundled weights with SAM's ViT-H, as in the paper's tables
    {PROGRAM} evaluate --weights bundled --teacher sam_vit_h_4b8939.pth \\
        --annotations coco.json --photos photos --out figures.json

A mask is prompted with the point farthest from its border, and with its box. Each correction is a
click in the middle of the largest error. NoC is the number of clicks to an IoU, at most 20. All
figures are means over masks, at the size of the photo, or of the model's input if that is smaller.
It takes about a second for each photo and half a second for each mask on two CPU cores."""


def add_finetune(add: Add) -> None:
    """Adds the options of `finetune`, without --weights, --out and --quiet."""
    _add_annotations(add)
    add("--encoder", action="store_true", help="the image encoder learns, too (needs a GPU)")
    add_training(
        add,
        limit=f"{FINETUNE_STEPS}, unless --minutes is given",
        batch=1,
        batch_note="with up to four masks each, which take 1.5 GB of memory",
        accumulate=2,
        learning_rate=1e-4,
        evaluate_every=10,
        embeddings="embeddings",
        held_out=_positive,
        held_out_default="a fifth, at most 50",
    )
    add(
        "--patience",
        type=_positive,
        metavar="N",
        default=4,
        help="stop after so many evaluations without progress; the result has the best weights "
        "(default: 4)",
    )


def add_evaluate(add: Add) -> None:
    """Adds the options of `evaluate`, without --weights, --out and --quiet."""
    _add_annotations(add)
    add(
        "--teacher",
        metavar="WEIGHTS",
        help="compare with the masks of another model, too: official, bundled, or a path to a "
        "checkpoint of SAM (ViT-B, ViT-L or ViT-H) or MobileSAM",
    )
    _add_size(add)


def _add_annotations(add: Add) -> None:
    add(
        "--annotations",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="COCO JSON files with masks",
    )
    add(
        "--photos",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the folder of the photos that the files name",
    )


def _add_size(add: Add) -> None:
    add(
        "--size",
        type=_positive,
        metavar="PIXELS",
        default=1024,
        help="side of the model's input, a multiple of 64 (default: 1024)",
    )


def add_distill(add: Add) -> None:
    """Adds the options of `distill`, without --out and --quiet."""
    add(
        "--teacher",
        required=True,
        metavar="WEIGHTS",
        help="the model to learn from: official, bundled, or a path to a checkpoint of SAM (ViT-B, "
        "ViT-L or ViT-H) or MobileSAM",
    )
    add(
        "--photos",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the photos, also those in subfolders; no annotations are needed",
    )
    add(
        "--scheme",
        choices=("decoupled", "semi-coupled", "coupled"),
        required=True,
        help="what the student learns, see below",
    )
    add(
        "--student",
        type=Path,
        metavar="FILE",
        help="weights to start from: a checkpoint of MobileSAM, or timm's tiny_vit_5m_224 trained "
        "on ImageNet (default: random weights)",
    )
    add_training(
        add,
        limit="as many as 60 minutes allow",
        batch=8,
        batch_note="use at least 4",
        accumulate=1,
        learning_rate=1e-3,
        evaluate_every=200,
        embeddings="teacher-embeddings",
        held_out=_count,
        held_out_default="5 %%, at most 100",
    )


def add_training(
    add: Add,
    *,
    limit: str,
    batch: int,
    batch_note: str,
    accumulate: int,
    learning_rate: float,
    evaluate_every: int,
    embeddings: str,
    held_out: Callable[[str], int],
    held_out_default: str,
) -> None:
    """Adds the options of `mobilesam.training.options.TrainingOptions`, without --photos and --out.

    Args:
        add: the method `add_argument` of the command's parser.
        limit: where a run ends by default.
        batch: the default of `--batch`.
        batch_note: what else to say about it.
        accumulate: the default of `--accumulate`.
        learning_rate: the default of `--learning-rate`.
        evaluate_every: the default of `--evaluate-every`.
        embeddings: the default of `--embeddings`, beside the output file.
        held_out: reads the number of `--held-out`.
        held_out_default: its default, in words.
    """
    _add_size(add)
    for option, kind, metavar, default, meaning in (
        ("--steps", _positive, "N", None, f"stop after so many steps (default: {limit})"),
        (
            "--minutes",
            _positive_number,
            "NUMBER",
            None,
            "stop after so many minutes of training; with --steps, whichever comes first",
        ),
        ("--batch", _positive, "N", batch, f"photos per batch; {batch_note}"),
        (
            "--accumulate",
            _positive,
            "N",
            accumulate,
            "batches per step, for more photos than fit in memory",
        ),
        ("--learning-rate", _positive_number, "NUMBER", learning_rate, "the highest one, of AdamW"),
        ("--seed", _count, "N", 0, "the same seed gives the same result on a CPU"),
        ("--workers", _count, "N", None, "processes that read photos (default: 0; 4 with a GPU)"),
        ("--evaluate-every", _positive, "N", evaluate_every, "steps between evaluations"),
    ):
        suffix = "" if default is None else f" (default: {default:g})"
        add(option, type=kind, metavar=metavar, default=default, help=meaning + suffix)
    add(
        "--precision",
        choices=("no", "fp16", "bf16"),
        default="no",
        help="mixed precision, which is faster on a GPU (default: no)",
    )
    add(
        "--embeddings",
        type=Path,
        metavar="FOLDER",
        help="where the image embeddings are kept; several runs can share them (default: "
        f"{embeddings}, beside the output file)",
    )
    add(
        "--held-out",
        type=held_out,
        metavar="N",
        help=f"photos that are not learned from but evaluated on (default: {held_out_default})",
    )
    add(
        "--log",
        type=Path,
        metavar="FILE",
        help="JSON lines are appended to it (default: the output file's name with .jsonl)",
    )


def _count(text: str) -> int:
    if text.isdecimal() and len(text) <= 9:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")


def _positive(text: str) -> int:
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _positive_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if 0 < number < 1e9:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
