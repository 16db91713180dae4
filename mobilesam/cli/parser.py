"""What the command line understands, and how it explains itself."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from mobilesam import __version__
from mobilesam.cli.terminal import say

PROGRAM = "python -m mobilesam"
EVERYTHING_OPTIONS = {
    "points_per_side": "asks at N x N points, from 1 to 64; more find smaller things (default: 16)",
    "pred_iou_thresh": "drop regions whose predicted IoU is not above it, from 0 to 1 "
    "(default: 0.88; 0.4 with the bundled weights)",
    "stability_score_thresh": "drop regions whose stability is below it: from 0 to 1, the IoU "
    "of the region's masks at a higher and at a lower threshold (default: 0.95; 0.3 with the "
    "bundled weights)",
    "stability_score_offset": "how much higher and lower those thresholds are, in logits, from 0 "
    "to 100 (default: 1)",
    "box_nms_thresh": "of two regions whose boxes overlap more than this IoU, from 0 to 1, keep "
    "the better one (default: 0.7)",
    "min_mask_region_area": "remove islands and holes of fewer pixels (default: 0)",
}
"""What each setting of `mobilesam.EverythingOptions` means, with the defaults that are there."""
_MAX_DIGITS = 9
_COUNTS = ("points_per_side", "min_mask_region_area")

_ABOUT = """\
Cut things out of photos: say where a thing is, get its mask.
Coordinates are pixels of the upright photo, counted from its top left corner: X,Y."""

_EXAMPLES = f"""\
examples:
  {PROGRAM} segment photo.jpg --point 320,240 --out mask.png
  {PROGRAM} everything photo.jpg --out regions.json
  {PROGRAM} batch photos/ --prompts prompts.jsonl --out annotations.json
  {PROGRAM} serve

`{PROGRAM} COMMAND --help` explains a command.
exit status: 0 done, 1 something could not be done, 2 the command line is wrong, 130 interrupted"""

_SEGMENT_EXAMPLES = f"""\
examples:
  the thing at x 320, y 240, as a black and white PNG:
    {PROGRAM} segment photo.jpg --point 320,240 --out mask.png
  the thing itself, cropped, on a transparent ground; its shadow does not belong to it:
    {PROGRAM} segment photo.jpg --point 320,240 --minus-point 350,400 \\
        --format cutout --out thing.png
  what is in a box, as COCO JSON:
    {PROGRAM} segment photo.jpg --box 10,10,200,300 --format coco --out thing.json"""

_EVERYTHING_EXAMPLES = f"""\
example:
  {PROGRAM} everything photo.jpg --points-per-side 32 --out regions.json"""

_BATCH_EXAMPLES = f"""\
example:
  {PROGRAM} batch photos/ --prompts prompts.jsonl --out annotations.json

prompts.jsonl has one JSON object a line, for instance
  {{"file": "cat.jpg", "points": [[320, 240, 1], [350, 400, 0]], "name": "cat"}}
  {{"file": "street/car.jpg", "box": [10, 10, 200, 300], "name": "car"}}
A point is [x, y, label], label 1 for the thing and 0 for what is not it. "points" and "box" work
together, and one of them is enough; "name" is the category ("object" where there is none). Several
lines may be about the same photo.

Finished photos are kept in annotations.json.part. After an interruption run the same command again:
it goes on where it was. What cannot be used is named, and the rest is done."""

_SERVE_EXAMPLES = f"""\
example:
  {PROGRAM} serve --port 8080"""


class _Parser(argparse.ArgumentParser):
    """Shows examples as they are written, and an error as one line."""

    def __init__(self, **kwargs: object) -> None:
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        say(f"{message.rstrip('.')}. See `{self.prog} --help`.")
        self.exit(2)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = _Parser(prog=PROGRAM, description=_ABOUT, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"mobilesam {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    segment = _command(commands, "segment", "the mask of one thing in a photo", _SEGMENT_EXAMPLES)
    segment.add_argument("photo", type=Path, metavar="PHOTO", help="JPEG, PNG, WebP, GIF, ...")
    segment.add_argument(
        "--point",
        type=_point,
        action="append",
        default=[],
        dest="points",
        metavar="X,Y",
        help="a place on the thing; may be given several times",
    )
    segment.add_argument(
        "--minus-point",
        type=_point,
        action="append",
        default=[],
        dest="minus_points",
        metavar="X,Y",
        help="a place that is not the thing; may be given several times",
    )
    segment.add_argument(
        "--box", type=_box, metavar="X0,Y0,X1,Y1", help="two opposite corners round the thing"
    )
    segment.add_argument(
        "--candidate",
        choices=("best", "1", "2", "3"),
        default="best",
        help="what you meant, where it can mean several things: 1, 2 or 3 takes that one of three "
        "masks, best the one that the model finds most probable (default: best)",
    )
    segment.add_argument(
        "--format",
        choices=("mask", "cutout", "coco"),
        default="mask",
        help="mask: black and white PNG. cutout: the thing on a transparent ground, a cropped PNG. "
        "coco: JSON with the mask as RLE (default: mask)",
    )
    _add_out(segment)
    _add_model(segment)

    everything = _command(
        commands, "everything", "the masks of all things in a photo", _EVERYTHING_EXAMPLES
    )
    everything.add_argument("photo", type=Path, metavar="PHOTO", help="JPEG, PNG, WebP, GIF, ...")
    for name, meaning in EVERYTHING_OPTIONS.items():
        option = "--" + name.replace("_", "-")
        kind, metavar = (_count, "N") if name in _COUNTS else (_number, "NUMBER")
        everything.add_argument(option, type=kind, metavar=metavar, help=meaning)
    _add_out(everything)
    _add_model(everything)

    batch = _command(
        commands, "batch", "masks for a folder of photos, as one COCO file", _BATCH_EXAMPLES
    )
    batch.add_argument("folder", type=Path, metavar="FOLDER", help="where the photos are")
    batch.add_argument(
        "--prompts", type=Path, required=True, metavar="FILE", help="what is asked, as JSON lines"
    )
    _add_out(batch)
    _add_model(batch)

    serve = _command(commands, "serve", "open the page in which one clicks", _SERVE_EXAMPLES)
    serve.add_argument(
        "--host",
        help="where to listen; 0.0.0.0 lets other machines in "
        "(default: GRADIO_SERVER_NAME, else 127.0.0.1)",
    )
    serve.add_argument(
        "--port",
        type=_port,
        help="default: GRADIO_SERVER_PORT, else the first free one from 7860 on",
    )
    serve.add_argument(
        "--mcp",
        action="store_true",
        help="let assistants ask for masks too, by the Model Context Protocol (as MOBILESAM_MCP=1)",
    )
    _add_model(serve)
    return parser


def _command(
    commands: argparse._SubParsersAction[_Parser], name: str, purpose: str, examples: str
) -> _Parser:
    description = f"{purpose[0].upper()}{purpose[1:]}."
    return commands.add_parser(name, help=purpose, description=description, epilog=examples)


def _add_out(parser: _Parser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="where to write; a file that is there is replaced once the new one is complete",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")


def _add_model(parser: _Parser) -> None:
    parser.add_argument(
        "--weights",
        help="official, bundled, or a path (default: MOBILESAM_WEIGHTS, else the official ones "
        "where they can be had, else the bundled ones)",
    )
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ... (default: MOBILESAM_DEVICE, else a GPU if any)"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def _numbers(text: str, form: str, example: str) -> tuple[float, ...]:
    parts = text.split(",")
    try:
        if len(parts) == form.count(",") + 1:
            return tuple(_number(part) for part in parts)
    except argparse.ArgumentTypeError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not {form} in pixels, such as {example}")


def _point(text: str) -> tuple[float, ...]:
    return _numbers(text, "X,Y", "320,240")


def _box(text: str) -> tuple[float, ...]:
    return _numbers(text, "X0,Y0,X1,Y1", "10,10,200,300")


def _port(text: str) -> int:
    port = _count(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)
