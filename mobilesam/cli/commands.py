"""The commands. `main.py` imports this module only to run one of them.

The command line and the photo are checked before torch is imported, which takes seconds.
"""

import logging
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mobilesam.atomic_file import write_atomically
from mobilesam.cleanup import clean_mask
from mobilesam.cli.batch import LocalRunner, Runner, read_prompts, run_batch
from mobilesam.cli.batch_files import BatchFormat, write_coco, write_dataset
from mobilesam.cli.journal import Journal
from mobilesam.cli.output import UsageError, checked_output, progress_bar, show
from mobilesam.cli.parser import EVERYTHING_OPTIONS
from mobilesam.cli.photo_folder import PhotoFolder, photo_folder
from mobilesam.cli.training_commands import distill as distill
from mobilesam.cli.training_commands import evaluate as evaluate
from mobilesam.cli.training_commands import finetune as finetune
from mobilesam.errors import ImageError, MobileSamError, PromptError
from mobilesam.everything_options import EverythingOptions
from mobilesam.export.classes import DEFAULT_NAME, read_class_names
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.export.files import export_file, json_bytes
from mobilesam.export.names import photo_file_name
from mobilesam.export.outlines import checked_tolerance
from mobilesam.export.pictures import cutout_png, mask_png
from mobilesam.export.split import checked_seed, checked_shares
from mobilesam.images import Photo, open_photo
from mobilesam.objects import PhotoObject
from mobilesam.prompts import Prompt
from mobilesam.runtime import usable_cores
from mobilesam.settings import Settings

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter


def load_segmenter(args: Namespace, settings: Settings) -> "Segmenter":
    """Loads the model, with one thread per usable core."""
    import torch

    from mobilesam.segmenter import Segmenter

    logging.basicConfig(format="%(message)s")
    logging.getLogger("mobilesam").setLevel(logging.ERROR if args.quiet else logging.INFO)
    torch.set_num_threads(usable_cores())
    return Segmenter.from_weights(args.weights, args.device, settings)


def segment(args: Namespace) -> int:
    """`segment`: one object as a mask, a cut-out or COCO JSON."""
    prompt = _prompt(args)
    out = checked_output(args.out, ".json" if args.format == "coco" else ".png", args.photo)
    settings = Settings.from_env()
    photo = _open_photo(args.photo, settings)
    prompt.check_answerable(photo.size_hw)
    segmenter = load_segmenter(args, settings)
    embedding = segmenter.encode(photo)
    multimask_output = None if args.candidate == "best" else True
    prediction = segmenter.predict(embedding, prompt, multimask_output=multimask_output)
    index = prediction.best if args.candidate == "best" else int(args.candidate) - 1
    mask, iou = prediction.mask(index), float(prediction.iou_predictions[index])
    if args.clean:
        mask = clean_mask(mask, prompt)
    if args.format == "coco":
        found = PhotoObject(DEFAULT_NAME, mask, iou)
        write_atomically(out, export_file("coco_rle", photo, [found], args.photo.name)[1])
    else:
        is_mask, soft = args.format == "mask", args.edges == "soft"
        write_atomically(out, mask_png(mask) if is_mask else cutout_png(photo, mask, soft))
    if not args.quiet:
        show(
            f"{args.out}: {mask.mean():.1%} of the photo, predicted IoU {min(iou, 1):.2f}, "
            f"{segmenter.weights.kind} weights."
        )
    return 0


def everything(args: Namespace) -> int:
    """`everything`: the masks of all objects as COCO JSON."""
    out = checked_output(args.out, ".json", args.photo)
    given = {name: value for name, value in vars(args).items() if name in EVERYTHING_OPTIONS}
    try:
        EverythingOptions(**given)
    except PromptError as error:
        raise UsageError(str(error)) from error
    settings = Settings.from_env()
    photo = _open_photo(args.photo, settings)
    segmenter = load_segmenter(args, settings)
    options = segmenter.everything_options(given)
    with progress_bar(options.points_per_side**2, "point", args.quiet) as progress:
        for step in segmenter.iter_everything(segmenter.encode(photo), options):
            progress.update(step.done - progress.n)
    annotations = tuple(
        coco_annotation(PhotoObject(DEFAULT_NAME, record.mask, record.predicted_iou))
        | {"stability_score": record.stability_score}
        for record in step.records
    )
    coco = CocoPhoto(photo_file_name(args.photo.name), photo.size_hw, annotations)
    write_atomically(out, json_bytes(coco_document([coco])))
    if not args.quiet:
        show(f"{args.out}: {len(annotations)} masks, {segmenter.weights.kind} weights.")
        if not annotations:
            show("No mask passed the thresholds; a lower --pred-iou-thresh keeps more.")
    return 0


def batch(args: Namespace) -> int:
    """`batch`: a folder of photos as one file; status 1 if a photo or a line failed."""
    chosen, suffix = _batch_format(args)
    out = checked_output(args.out, suffix, args.prompts, *filter(None, [args.classes]))
    folder = photo_folder(args.folder)
    prompts, errors = read_prompts(args.prompts, folder)
    for sentence in errors:
        show(sentence)
    settings = Settings.from_env()
    with (
        _runner(args, folder, settings) as runner,
        Journal(out.with_name(f"{out.name}.part")) as journal,
    ):
        try:
            with progress_bar(len(prompts), "photo", args.quiet) as progress:
                photos, failures = run_batch(runner, folder, prompts, journal, progress, args.clean)
        except KeyboardInterrupt:
            show("Run the same command again to resume.")
            raise
        if suffix == ".zip":
            failures += write_dataset(out, folder, photos, chosen, settings.limits)
        else:
            failures += write_coco(out, photos, chosen)
        journal.remove()
    if not args.quiet:
        count = sum(len(photo.annotations) for photo in photos)
        show(f"{args.out}: {len(photos)} photos, {count} masks, {runner.weights.kind} weights.")
    return 1 if errors or failures else 0


@contextmanager
def _runner(args: Namespace, folder: PhotoFolder, settings: Settings) -> Iterator[Runner]:
    """What computes the photos of `batch`: this process, or with --ray a cluster."""
    if args.ray is None:
        yield LocalRunner(load_segmenter(args, settings), folder, args.clean)
        return
    from mobilesam.cli.ray_runner import ray_runner  # most runs do without

    options = (args.clean, args.weights, args.device, settings)
    with ray_runner(args.ray, folder, *options) as runner:
        yield runner


def _batch_format(args: Namespace) -> tuple[BatchFormat, str]:
    """The format that the arguments choose, and the extension of its file."""
    is_coco = args.format in ("coco", "coco-polygons")
    has_parts = args.split is not None or args.photos
    suffix = ".json" if is_coco and not has_parts else ".zip"
    if is_coco and args.out.suffix.lower() == ".zip":
        suffix = ".zip"
    name = "coco_rle" if args.format == "coco" else args.format.replace("-", "_")
    try:
        return BatchFormat(
            name,
            tuple(_class_names(args.classes)) if args.classes else (),
            checked_tolerance(args.tolerance),
            checked_shares(args.split or (1, 0, 0)),
            checked_seed(args.seed),
            args.photos,
        ), suffix
    except PromptError as error:
        raise UsageError(str(error)) from error


def _class_names(path: Path) -> list[str]:
    try:
        return read_class_names(path.read_bytes(), path.name)
    except OSError as error:
        raise UsageError(f"The classes {path} cannot be read: {error}.") from error
    except MobileSamError as error:
        raise UsageError(f"{path}: {error}") from error


def serve(args: Namespace) -> int:
    """`serve`: starts the web page, as app.py does."""
    from mobilesam.web.app import serve_page  # imports gradio, which the other commands do not need

    serve_page(args.weights, args.device, args.host, args.port, args.mcp)
    return 0


def _open_photo(path: Path, settings: Settings) -> Photo:
    try:
        return open_photo(path, settings.limits)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def _prompt(args: Namespace) -> Prompt:
    labels = [1] * len(args.point) + [0] * len(args.minus_point)
    try:
        prompt = Prompt([*args.point, *args.minus_point], labels, args.box)
    except PromptError as error:
        raise UsageError(str(error)) from error
    if prompt.is_empty:
        raise UsageError("Where is the object? Give --point X,Y or --box X0,Y0,X1,Y1.")
    return prompt
