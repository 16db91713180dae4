"""The command line: arguments and help texts."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from mobilesam import __version__
from mobilesam.cli.output import show
from mobilesam.cli.training_parser import (
    DISTILL_EXAMPLES,
    EVALUATE_EXAMPLES,
    FINETUNE_EXAMPLES,
    PROGRAM,
    Add,
    add_distill,
    add_evaluate,
    add_finetune,
)
from mobilesam.settings import parse_port

EVERYTHING_OPTIONS = {
    "points_per_side": "prompt the model at a grid of N x N points, 1 to 64; more points find "
    "smaller objects (default: 16)",
    "pred_iou_thresh": "keep masks whose predicted IoU, the model's estimate of their quality, is "
    "higher than this, 0 to 1 (default: 0.88; 0.4 with the bundled weights)",
    "stability_score_thresh": "keep masks whose stability score is at least this, 0 to 1; the "
    "score is the IoU between the masks at a higher and at a lower threshold (default: 0.95; 0.3 "
    "with the bundled weights)",
    "stability_score_offset": "by how much these thresholds are higher and lower, in logits, 0 to "
    "100 (default: 1)",
    "box_nms_thresh": "if the bounding boxes of two masks have a higher IoU than this, 0 to 1, "
    "keep the better mask only (default: 0.7)",
    "min_mask_region_area": "remove islands and holes with fewer pixels than this (default: 0)",
    "min_area_share": "drop masks that cover a smaller share of the photo than this, 0 to 1 "
    "(default: 0)",
    "mask_nms_thresh": "if two masks have a higher IoU than this, 0 to 1, keep the better mask "
    "only; 0.8 drops near-duplicates (default: 1)",
}
"""The help of each option of `mobilesam.EverythingOptions`, with its defaults."""

_ABOUT = """\
Segment objects in photos: point at an object, get its mask.
Coordinates are X,Y in pixels of the upright photo, from its top left corner."""

_EXAMPLES = f"""\
examples:
  {PROGRAM} segment photo.jpg --point 320,240 --out mask.png
  {PROGRAM} everything photo.jpg --out masks.json
  {PROGRAM} batch photos/ --prompts prompts.jsonl --out annotations.json
  {PROGRAM} serve

For help on a command: {PROGRAM} COMMAND --help
Exit status: 0 success, 1 failure, 2 invalid command line, 130 interrupted."""

_SEGMENT_EXAMPLES = f"""\
examples:
  the object at x = 320, y = 240, as a black and white PNG:
    {PROGRAM} segment photo.jpg --point 320,240 --out mask.png
  the object without its shadow, cropped, on a transparent background:
    {PROGRAM} segment photo.jpg --point 320,240 --minus-point 350,400 \\
        --format cutout --out object.png
  the object in a box, as COCO JSON:
    {PROGRAM} segment photo.jpg --box 10,10,200,300 --format coco --out object.json"""

_EVERYTHING_EXAMPLES = f"""\
example:
  {PROGRAM} everything photo.jpg --points-per-side 32 --out masks.json"""

_BATCH_EXAMPLES = f"""\
examples:
  one COCO file:
    {PROGRAM} batch photos/ --prompts prompts.jsonl --out annotations.json
  a data set to train YOLO with:
    {PROGRAM} batch photos/ --prompts prompts.jsonl --format yolo --classes names.txt \\
        --split 0.8,0.1,0.1 --photos --out set.zip
  many photos, on the machines of a Ray cluster:
    {PROGRAM} batch s3://bucket/photos --prompts prompts.jsonl --ray 10.0.0.1:6379 \\
        --format yolo --out set.zip

prompts.jsonl has one JSON object per line, for example
  {{"file": "cat.jpg", "points": [[320, 240, 1], [350, 400, 0]], "name": "cat"}}
  {{"file": "street/car.jpg", "box": [10, 10, 200, 300], "name": "car"}}
"file" is relative to FOLDER. Give "points", a "box", or both. A point is [x, y, label]; the label
is 1 on the object and 0 on the background. "name" is the category (default: "object"). A photo
can have several lines, one for each object.

The class ids are those of --classes, else in the order in which the names occur.

Finished photos are saved in annotations.json.part. To resume after an interruption, run the same
command again, with or without --ray. Photos and lines with errors are reported, and the others
are processed."""

_TRAINING = ("distill", "finetune", "evaluate")
_REPLACED = "an existing one is replaced when the new one is complete"
_KEPT = "it must not exist"


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line."""

    def __init__(self, **options: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=raw, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        show(f"{message.rstrip('.')}. See `{self.prog} --help`.")
        self.exit(2)


def build_parser() -> argparse.ArgumentParser:
    """Builds the parser with all commands."""
    parser = _Parser(prog=PROGRAM, description=_ABOUT, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"mobilesam {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose, examples, add_options in (
        ("segment", "segment one object in a photo", _SEGMENT_EXAMPLES, _add_segment),
        ("everything", "segment all objects in a photo", _EVERYTHING_EXAMPLES, _add_everything),
        ("batch", "segment a folder of photos and save one file", _BATCH_EXAMPLES, _add_batch),
        ("distill", "train a small model to imitate a large one", DISTILL_EXAMPLES, add_distill),
        ("finetune", "train the model on your annotations", FINETUNE_EXAMPLES, add_finetune),
        ("evaluate", "measure a model on annotated photos", EVALUATE_EXAMPLES, add_evaluate),
        ("serve", "start the web page", f"example:\n  {PROGRAM} serve --port 8080", _add_serve),
    ):
        description = f"{purpose[0].upper()}{purpose[1:]}."
        command = commands.add_parser(name, help=purpose, description=description, epilog=examples)
        add = command.add_argument
        if name in ("segment", "everything"):
            add("photo", type=Path, metavar="PHOTO", help="a JPEG, PNG, WebP, GIF, ...")
        add_options(add)
        if name != "serve":
            existing = _KEPT if name in ("distill", "finetune") else _REPLACED
            _add_out(add, existing, is_required=name != "evaluate")
        if name != "distill":
            _add_weights(add)
        if name not in _TRAINING:
            _add_device(add)
    return parser


def _add_segment(add: Add) -> None:
    point = partial(_numbers, "X,Y", "in pixels", "320,240")
    box = partial(_numbers, "X0,Y0,X1,Y1", "in pixels", "10,10,200,300")
    for option, where in (("--point", "the object"), ("--minus-point", "the background")):
        meaning = f"a point on {where}; can be repeated"
        add(option, type=point, action="append", default=[], metavar="X,Y", help=meaning)
    add("--box", type=box, metavar="X0,Y0,X1,Y1", help="two opposite corners around the object")
    add(
        "--candidate",
        choices=("best", "1", "2", "3"),
        default="best",
        help="which mask to use if the prompt is ambiguous: 1, 2 or 3 is one of three candidates, "
        "best the default one (default: best)",
    )
    _add_clean(add)
    add(
        "--format",
        choices=("mask", "cutout", "coco"),
        default="mask",
        help="mask: a black and white PNG; cutout: a PNG of the object, cropped, on a transparent "
        "background; coco: COCO JSON (default: mask)",
    )
    add(
        "--edges",
        choices=("hard", "soft"),
        default="hard",
        help="of a cut-out. hard: every pixel is opaque or transparent; soft: the edge is two "
        "pixels wide, without the colours of the background (default: hard)",
    )


def _add_clean(add: Add) -> None:
    add("--clean", action="store_true", help="remove specks and fill small holes")


def _add_everything(add: Add) -> None:
    for name, meaning in EVERYTHING_OPTIONS.items():
        option = "--" + name.replace("_", "-")
        is_count = name in ("points_per_side", "min_mask_region_area")
        kind, metavar = (int, "N") if is_count else (float, "NUMBER")
        add(option, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=meaning)


def _add_batch(add: Add) -> None:
    add(
        "folder",
        metavar="FOLDER",
        help="the folder that contains the photos; also s3://bucket/photos and other addresses of "
        "fsspec, if it is installed with a package for them",
    )
    add("--prompts", type=Path, required=True, metavar="FILE", help="the prompts, as JSON lines")
    _add_clean(add)
    add(
        "--format",
        choices=("coco", "coco-polygons", "yolo", "labelme", "class-png"),
        default="coco",
        help="coco and coco-polygons: one .json file, or a data set in a .zip file; yolo, labelme "
        "and class-png, images whose pixels are class ids: a data set (default: coco)",
    )
    add(
        "--classes",
        type=Path,
        metavar="FILE",
        help="the classes in the order of their ids: text with one name per line, a data.yaml, or "
        "a COCO file; other names are appended",
    )
    add(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="PX",
        help="by how many pixels polygons may differ from the masks, which makes them much "
        "shorter (default: 0, exact)",
    )
    split = partial(_numbers, "TRAIN,VAL,TEST", "as shares", "0.8,0.1,0.1")
    add(
        "--split",
        type=split,
        metavar="TRAIN,VAL,TEST",
        help="three shares, such as 0.8,0.2,0 (default: all photos are for training)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of the random split (default: 0)")
    add("--photos", action="store_true", help="copy the photos into the data set")
    add(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="compute on a Ray cluster, with requirements-ray.txt installed on all its machines; "
        "without ADDRESS: that of RAY_ADDRESS, else this machine. On one machine alone, leave it "
        "out: 40 photos take 54 s without and 60 s with it",
    )


def _add_serve(add: Add) -> None:
    add(
        "--host",
        help="the address to listen on; 0.0.0.0 accepts connections from other machines "
        "(default: GRADIO_SERVER_NAME, else 127.0.0.1)",
    )
    add(
        "--port",
        type=_port,
        help="the port (default: GRADIO_SERVER_PORT, else the first free one from 7860)",
    )
    add(
        "--mcp",
        action="store_true",
        help="serve the Model Context Protocol too, for AI assistants (also: MOBILESAM_MCP=1)",
    )


def _add_out(add: Add, existing: str, is_required: bool) -> None:
    add(
        "--out",
        type=Path,
        required=is_required,
        metavar="FILE",
        help=f"the output file; {existing}",
    )
    add("--quiet", action="store_true", help="print nothing but errors")


def _add_weights(add: Add) -> None:
    add(
        "--weights",
        help="official, bundled, or a path (default: MOBILESAM_WEIGHTS, else the official weights "
        "if they are available, else the bundled ones)",
    )


def _add_device(add: Add) -> None:
    add(
        "--device",
        help="cpu, cuda, cuda:1, ... (default: MOBILESAM_DEVICE, else a GPU if there is one)",
    )


def _numbers(form: str, unit: str, example: str, text: str) -> tuple[float, ...]:
    numbers = text.split(",")
    try:
        if len(numbers) == form.count(",") + 1:
            return tuple(map(float, numbers))
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not {form} {unit}, such as {example}")


def _port(text: str) -> int:
    try:
        return parse_port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
