"""The commands; `main.py` imports this module only when one is to run.

What can be wrong with the command line or the photo is found out before torch is imported, which
takes seconds.
"""

from __future__ import annotations

import logging
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mobilesam.cli.batch import run_batch
from mobilesam.cli.output import checked_output, write_atomically, write_json
from mobilesam.cli.parser import EVERYTHING_OPTIONS
from mobilesam.cli.questions import DEFAULT_NAME, Questions, read_questions
from mobilesam.cli.terminal import Counter, UsageError, say
from mobilesam.errors import ImageError, PromptError
from mobilesam.everything_options import EverythingOptions
from mobilesam.export import CocoPhoto, coco_annotation, coco_document, cutout_png, mask_png
from mobilesam.images import Photo, open_photo
from mobilesam.masks import mask_area
from mobilesam.objects import PhotoObject
from mobilesam.prompts import Prompt
from mobilesam.runtime import usable_cores
from mobilesam.settings import Settings

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter


def load_segmenter(args: Namespace, settings: Settings) -> Segmenter:
    """The model, on as many threads as the process has cores.

    Raises:
        MobileSamError: weights or device cannot be used.
    """
    import torch

    from mobilesam.segmenter import Segmenter

    logging.basicConfig(format="%(message)s")
    logging.getLogger("mobilesam").setLevel(logging.ERROR if args.quiet else logging.INFO)
    torch.set_num_threads(usable_cores())
    return Segmenter.from_weights(args.weights, args.device, settings)


def segment(args: Namespace) -> int:
    """`segment`: one thing, as a mask, a cut-out or COCO JSON."""
    prompt = _prompt(args)
    suffix = ".json" if args.format == "coco" else ".png"
    out = checked_output(args.out, suffix, args.photo)
    settings = Settings.from_env()
    photo = _photo(args.photo, settings)
    prompt.check_answerable(photo.size_hw)
    segmenter = load_segmenter(args, settings)
    # Who names a candidate wants three to choose from, even where SAM's rule gives one.
    multimask_output = None if args.candidate == "best" else True
    prediction = segmenter.predict(
        segmenter.encode(photo), prompt, multimask_output=multimask_output
    )
    index = prediction.best if args.candidate == "best" else int(args.candidate) - 1
    mask, iou = prediction.mask(index), float(prediction.iou_predictions[index])
    if args.format == "coco":
        found = coco_annotation(PhotoObject(DEFAULT_NAME, mask, iou))
        write_json(out, coco_document([CocoPhoto(args.photo.name, photo.size_hw, (found,))]))
    else:
        write_atomically(out, mask_png(mask) if args.format == "mask" else cutout_png(photo, mask))
    if not args.quiet:
        say(
            f"{args.out}: {mask_area(mask) / mask.size:.1%} of the photo, predicted IoU {iou:.2f}, "
            f"{segmenter.weights.kind} weights."
        )
    return 0


def everything(args: Namespace) -> int:
    """`everything`: all regions as COCO JSON."""
    out = checked_output(args.out, ".json", args.photo)
    given = {
        name: getattr(args, name) for name in EVERYTHING_OPTIONS if getattr(args, name) is not None
    }
    try:
        EverythingOptions(**given)
    except PromptError as error:
        raise UsageError(str(error)) from error
    settings = Settings.from_env()
    photo = _photo(args.photo, settings)
    segmenter = load_segmenter(args, settings)
    options = segmenter.everything_options(given)
    counter = Counter(options.points_per_side**2, "points", args.quiet)
    try:
        for step in segmenter.iter_everything(segmenter.encode(photo), options):
            counter.show(step.done)
        records = step.records
    finally:
        counter.close()
    regions = (
        coco_annotation(
            PhotoObject(DEFAULT_NAME, record.mask, record.predicted_iou),
            stability_score=record.stability_score,
        )
        for record in records
    )
    write_json(out, coco_document([CocoPhoto(args.photo.name, photo.size_hw, tuple(regions))]))
    if not args.quiet:
        say(f"{args.out}: {len(records)} regions, {segmenter.weights.kind} weights.")
        if not records:
            say("No region passed the thresholds; a lower --pred-iou-thresh keeps more.")
    return 0


def batch(args: Namespace) -> int:
    """`batch`: a folder of photos into one COCO file; 1 where some could not be used."""
    out = checked_output(args.out, ".json")
    if not args.folder.is_dir():
        raise UsageError(f"The folder {args.folder} does not exist.")
    questions = _questions(args.prompts)
    if out == args.prompts.resolve():
        raise UsageError("The prompts would be overwritten; name another file after --out.")
    segmenter = load_segmenter(args, Settings.from_env())
    counter = Counter(len(questions.by_file), "photos", args.quiet)
    try:
        result = run_batch(segmenter, args.folder, questions, out, counter)
    except KeyboardInterrupt:
        counter.say("Run the same command again to go on where this stopped.")
        raise
    if not args.quiet:
        say(
            f"{args.out}: {result.photos} photos, {result.annotations} masks, "
            f"{segmenter.weights.kind} weights."
        )
    return 1 if result.failures else 0


def serve(args: Namespace) -> int:
    """`serve`: the page, as app.py starts it."""
    from mobilesam.web.app import serve_page  # imports gradio, which the others do without

    serve_page(args.weights, args.device, args.host, args.port, args.mcp)
    return 0


def _photo(path: Path, settings: Settings) -> Photo:
    try:
        return open_photo(path, settings.limits)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _prompt(args: Namespace) -> Prompt:
    labels = [1] * len(args.points) + [0] * len(args.minus_points)
    try:
        prompt = Prompt([*args.points, *args.minus_points], labels, args.box)
    except PromptError as error:
        raise UsageError(str(error)) from error
    if prompt.is_empty:
        raise UsageError("Say where the thing is: give --point X,Y or --box X0,Y0,X1,Y1.")
    return prompt


def _questions(path: Path) -> Questions:
    try:
        with path.open("rb") as lines:
            questions = read_questions(lines)
    except (OSError, ValueError) as error:
        raise UsageError(f"The prompts {path} cannot be read: {error}.") from error
    if not questions.by_file and not questions.errors:
        raise UsageError(f"There is no prompt in {path}.")
    return questions
