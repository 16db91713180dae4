"""The command line of training: arguments and help texts."""

import argparse
from pathlib import Path

PROGRAM = "python -m mobilesam"

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
the same command again. Losses and evaluations are in student.jsonl, one JSON object per line."""


def add_distill(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `distill`, without --out and --quiet."""
    parser.add_argument(
        "--teacher",
        required=True,
        metavar="WEIGHTS",
        help="the model to learn from: official, bundled, or a path to a checkpoint of SAM (ViT-B, "
        "ViT-L or ViT-H) or MobileSAM",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the photos, also those in subfolders; no annotations are needed",
    )
    parser.add_argument(
        "--scheme",
        choices=("decoupled", "semi-coupled", "coupled"),
        required=True,
        help="what the student learns, see below",
    )
    parser.add_argument(
        "--student",
        type=Path,
        metavar="FILE",
        help="weights to start from: a checkpoint of MobileSAM, or timm's tiny_vit_5m_224 trained "
        "on ImageNet (default: random weights)",
    )
    add_loop(parser)
    parser.add_argument(
        "--embeddings",
        type=Path,
        metavar="FOLDER",
        help="where the teacher's embeddings are kept; several runs can share them (default: "
        "teacher-embeddings, beside the output file)",
    )
    parser.add_argument(
        "--held-out",
        type=_count,
        metavar="N",
        help="photos that are not learned from but evaluated on: mean IoU of the student's masks "
        "with the teacher's (default: 5 %%, at most 100)",
    )


def add_loop(parser: argparse.ArgumentParser) -> None:
    """Adds the options that all training has."""
    for option, kind, metavar, default, meaning in (
        ("--size", _positive, "PIXELS", 1024, "side of the model's input, a multiple of 64"),
        ("--steps", _positive, "N", None, "stop after so many steps"),
        (
            "--minutes",
            _positive_number,
            "NUMBER",
            None,
            "stop after so many minutes of training (default: 60, unless --steps is given)",
        ),
        ("--batch", _positive, "N", 8, "photos per batch; use at least 4"),
        ("--accumulate", _positive, "N", 1, "batches per step, for more photos than fit in memory"),
        ("--learning-rate", _positive_number, "NUMBER", 1e-3, "the highest one, of AdamW"),
        ("--seed", _count, "N", 0, "the same seed gives the same result on a CPU"),
        ("--workers", _count, "N", None, "processes that read photos (default: 0; 4 with a GPU)"),
        ("--evaluate-every", _positive, "N", 200, "steps between evaluations"),
    ):
        suffix = "" if default is None else f" (default: {default:g})"
        parser.add_argument(
            option, type=kind, metavar=metavar, default=default, help=meaning + suffix
        )
    parser.add_argument(
        "--precision",
        choices=("no", "fp16", "bf16"),
        default="no",
        help="mixed precision, which is faster on a GPU (default: no)",
    )
    parser.add_argument(
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
